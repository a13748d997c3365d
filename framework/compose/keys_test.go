package compose

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/schema"
)

// Every key of the specification has a line, so that a new compose-go with new
// keys makes someone decide; and every line's key exists.
func TestKeysMatchSpecification(t *testing.T) {
	for _, p := range schema.AttributePaths() {
		tree, decided := verdicts(), false
		for key := range strings.SplitSeq(string(p), ".") {
			if tree = tree.next(key); tree == nil {
				break
			}
			decided = decided || tree.verdict.word != ""
		}
		if !decided && p != "services" && !strings.HasSuffix(string(p), ".*") {
			t.Errorf("keys.txt does not say what becomes of %s", p)
		}
	}
	for line := range strings.Lines(keysText) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		tree := known()
		for key := range strings.SplitSeq(fields[0], ".") {
			tree = tree.next(key)
		}
		if tree == nil {
			t.Errorf("keys.txt: the specification has no %s", fields[0])
		}
		if word := fields[1]; !slices.Contains([]string{"map", "warn", "refuse"}, word) || (word != "map") != (len(fields) > 2) {
			t.Errorf("keys.txt: bad line %q", line)
		}
	}
}

// Below services nothing is mapped by a line that covers more than one key: each
// has its own.
func TestKeysOneByOne(t *testing.T) {
	service := verdicts().next("services").next("*")
	if service.verdict.word != "" {
		t.Errorf("services.* itself has the verdict %s", service.verdict.word)
	}
	for _, key := range slices.Sorted(maps.Keys(known().next("services").next("*").below)) {
		if tree := service.below[key]; tree == nil || tree.verdict.word == "" {
			t.Errorf("no line for services.*.%s", key)
		}
	}
}
