package master

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// difference is how something of ours differs from the recording.
type difference struct {
	answer string // our HTTP status, "unsent" for a request that is not sent, or "" if another part differs
	text   string // for the failure message
}

// deviations is the list testdata/deviations.txt.
type deviations []*deviation

// deviation is a line of the list. It says "PATTERN ANSWER: REASON" or "PATTERN REASON".
type deviation struct {
	pattern string // a path.Match pattern for the key of a difference
	answer  string // as in difference
	reason  string
	used    bool // a difference matched the line
}

// answered matches the part of a line after the pattern, if it begins with an answer.
var answered = regexp.MustCompile(`^(\d{3}|unsent):? (.*)`)

func readDeviations(t *testing.T) deviations {
	t.Helper()
	data, err := os.ReadFile("testdata/deviations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var listed deviations
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		d := &deviation{}
		if d.pattern, d.reason, _ = strings.Cut(line, " "); d.reason == "" {
			t.Errorf("deviations.txt gives no reason for %s", d.pattern)
		}
		if m := answered.FindStringSubmatch(d.reason); m != nil {
			d.answer, d.reason = m[1], m[2]
		}
		listed = append(listed, d)
	}
	return listed
}

// check fails for every difference, by its key, that the list does not have.
func (l deviations) check(t *testing.T, differences map[string]difference) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(differences)) {
		got := differences[key]
		switch d := l.find(key); {
		case d == nil:
			t.Errorf("%s: %s", key, got.text)
		case d.answer != got.answer:
			t.Errorf("%s: we answered %q, but deviations.txt says %q", key, got.answer, d.answer)
		default:
			t.Logf("differs as listed: %s: %s", key, d.reason)
		}
	}
}

// checkUsed fails for every line that matched no difference. Call it after all checks.
func (l deviations) checkUsed(t *testing.T) {
	t.Helper()
	for _, d := range l {
		if !d.used {
			t.Errorf("deviations.txt lists %s (%s), but nothing differs there any more: remove the line", d.pattern, d.reason)
		}
	}
}

// find returns the line for a key, or nil.
func (l deviations) find(key string) *deviation {
	flat := func(s string) string { return strings.Replace(s, "/", ":", 1) } // path.Match lets a * match no slash
	for _, d := range l {
		if ok, err := path.Match(flat(d.pattern), flat(key)); err == nil && ok {
			d.used = true
			return d
		}
	}
	return nil
}
