package local

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// deviation is a line of the list.
type deviation struct {
	pattern string // of path.Match
	answer  string // our status where it is another, or "unsent"; "" where something else differs
	reason  string
	used    bool
}

// ofAgents reports whether a line is about what our agent makes of a task (02/agent#k1):
// TestReplayAgent's.
func (d *deviation) ofAgents() bool { return strings.Contains(d.pattern, "/agent#") }

// HoldAgents fails for differences of our agent that are not listed, and for lines
// that none needs.
func HoldAgents(t *testing.T, faults map[string]string) {
	t.Helper()
	listed := deviations(t)
	for _, key := range slices.Sorted(maps.Keys(faults)) {
		if d, ok := explain(listed, key); ok {
			d.used = true
			t.Logf("differs as listed: %s: %s", key, d.reason)
			continue
		}
		t.Errorf("%s:\n%s", key, faults[key])
	}
	for _, d := range listed {
		if !d.used && d.ofAgents() {
			t.Errorf("stale line in deviations.txt: %s %s", d.pattern, d.reason)
		}
	}
}

// answered is what a line can say of an answer.
var answered = regexp.MustCompile(`^(\d{3}|unsent):? (.*)`)

// deviations reads the list: exchange (or exchange#lane), our status where it
// differs, then the reason.
func deviations(t *testing.T) []*deviation {
	t.Helper()
	data, err := os.ReadFile("testdata/deviations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var listed []*deviation
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

// explain finds the line for a difference.
func explain(listed []*deviation, key string) (*deviation, bool) {
	for _, d := range listed {
		if ok, err := path.Match(strings.Replace(d.pattern, "/", ":", 1), strings.Replace(key, "/", ":", 1)); err == nil && ok {
			return d, true
		}
	}
	return nil, false
}
