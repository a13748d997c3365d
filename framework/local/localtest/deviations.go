package localtest

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Difference is how something of ours differs from the recording.
type Difference struct {
	Answer string // our HTTP status, "unsent" for a request that is not sent, or "" if another part differs
	Text   string // for the failure message
}

// Deviations is the list testdata/deviations.txt of the package under test.
type Deviations []*deviation

// deviation is a line of the list. It says "PATTERN ANSWER: REASON" or "PATTERN REASON".
type deviation struct {
	pattern string // a path.Match pattern for the key of a Difference
	answer  string // as in Difference
	reason  string
	used    bool // a difference matched the line
}

// answered matches the part of a line after the pattern, if it begins with an answer.
var answered = regexp.MustCompile(`^(\d{3}|unsent):? (.*)`)

// Read reads the list.
func Read(t *testing.T) Deviations {
	t.Helper()
	data, err := os.ReadFile("testdata/deviations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var listed Deviations
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

// Check fails for every difference, by its key, that the list does not have.
func (l Deviations) Check(t *testing.T, differences map[string]Difference) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(differences)) {
		got := differences[key]
		switch d := l.find(key); {
		case d == nil:
			t.Errorf("%s: %s", key, got.Text)
		case d.answer != got.Answer:
			t.Errorf("%s: we answered %q, but deviations.txt says %q", key, got.Answer, d.answer)
		default:
			t.Logf("differs as listed: %s: %s", key, d.reason)
		}
	}
}

// CheckUsed fails for every line that matched no difference. Call it after all Checks.
func (l Deviations) CheckUsed(t *testing.T) {
	t.Helper()
	for _, d := range l {
		if !d.used {
			t.Errorf("deviations.txt lists %s (%s), but nothing differs there any more: remove the line", d.pattern, d.reason)
		}
	}
}

// find returns the line for a key, or nil.
func (l Deviations) find(key string) *deviation {
	flat := func(s string) string { return strings.Replace(s, "/", ":", 1) } // path.Match lets a * match no slash
	for _, d := range l {
		if ok, err := path.Match(flat(d.pattern), flat(key)); err == nil && ok {
			d.used = true
			return d
		}
	}
	return nil
}
