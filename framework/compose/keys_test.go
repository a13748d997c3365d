package compose

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/schema"

	"tombolo/framework/app"
)

// keyPath reads a path as keys.txt and compose-go write it.
func keyPath(text string) app.Path { return strings.Split(text, ".") }

// A compose-go with new keys must make somebody decide about them.
func TestEveryKeyOfTheSpecificationHasAVerdict(t *testing.T) {
	for _, p := range schema.AttributePaths() {
		path, decided := keyPath(string(p)), false
		for i := range path {
			tree := keyTable().at(path[:i+1])
			decided = decided || tree != nil && tree.verdict != ""
		}
		if !decided && p != "services" && !strings.HasSuffix(string(p), ".*") {
			t.Errorf("keys.txt has no line for %s, nor for a key above it", p)
		}
	}
}

func TestEveryLineOfKeysIsAKeyWithAVerdict(t *testing.T) {
	for line := range strings.Lines(keysText) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if specification().at(keyPath(fields[0])) == nil {
			t.Errorf("the Compose specification does not have the key %s of keys.txt", fields[0])
		}
		if !slices.Contains([]string{honour, caution, ignore, refuse}, fields[1]) {
			t.Errorf("keys.txt has an unknown verdict in the line %q", line)
		}
		if fields[1] != honour && len(fields) == 2 {
			t.Errorf("keys.txt gives no remark in the line %q", line)
		}
	}
}

// No line covers several keys of a service, so that none is honoured by accident.
func TestEveryKeyOfAServiceHasItsOwnLine(t *testing.T) {
	service := app.Path{"services", "*"}
	if verdict := keyTable().at(service).verdict; verdict != "" {
		t.Errorf("keys.txt has a line for all keys of a service: services.* %s", verdict)
	}
	for _, key := range slices.Sorted(maps.Keys(specification().at(service).below)) {
		if tree := keyTable().at(service).below[key]; tree == nil || tree.verdict == "" {
			t.Errorf("keys.txt has no line for services.*.%s", key)
		}
	}
}

// The loader accepts the words of app.FormOf, and refuses others with a remark of
// keys.txt. Both must name the same words.
func TestRemarksNameTheWordsOfDockerFlags(t *testing.T) {
	for key, flag := range map[string]string{"ipc": "ipc", "pid": "pid", "uts": "uts", "userns_mode": "userns"} {
		form, _ := app.FormOf(flag)
		text := remark(app.Path{"services", "*", key})
		for _, word := range form.Words {
			if !strings.Contains(text, word) {
				t.Errorf("the remark on %s does not name %q: %s", key, word, text)
			}
		}
	}
}
