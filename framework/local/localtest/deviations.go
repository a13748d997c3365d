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

// Difference is how an answer of ours differs from the recorded one.
type Difference struct {
	Answer string // our status where that is another, or "unsent"
	Text   string
}

// Deviations is testdata/deviations.txt of the package under test.
type Deviations []*deviation

// deviation is a line of the list.
type deviation struct {
	pattern string // of path.Match
	answer  string // our status where it is another, or "unsent"; "" where something else differs
	reason  string
	used    bool
}

// answered is what a line can say of an answer.
var answered = regexp.MustCompile(`^(\d{3}|unsent):? (.*)`)

// Read reads the list: exchange (or exchange#lane), our status where it
// differs, then the reason.
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
			t.Errorf("deviations.txt: no reason for %s", d.pattern)
		}
		if m := answered.FindStringSubmatch(d.reason); m != nil {
			d.answer, d.reason = m[1], m[2]
		}
		listed = append(listed, d)
	}
	return listed
}

// Check fails for differences that are not listed.
func (l Deviations) Check(t *testing.T, differences map[string]Difference) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(differences)) {
		got := differences[key]
		switch d := l.find(key); {
		case d == nil:
			t.Errorf("%s: %s", key, got.Text)
		case d.answer != got.Answer:
			t.Errorf("%s: answered %q, listed %q", key, got.Answer, d.answer)
		default:
			t.Logf("differs as listed: %s: %s", key, d.reason)
		}
	}
}

// CheckUsed fails for lines that no difference needs.
func (l Deviations) CheckUsed(t *testing.T) {
	t.Helper()
	for _, d := range l {
		if !d.used {
			t.Errorf("stale line in deviations.txt: %s %s", d.pattern, d.reason)
		}
	}
}

// find returns the line for a difference, nil where there is none.
func (l Deviations) find(key string) *deviation {
	for _, d := range l {
		if ok, err := path.Match(strings.Replace(d.pattern, "/", ":", 1), strings.Replace(key, "/", ":", 1)); err == nil && ok {
			d.used = true
			return d
		}
	}
	return nil
}
