package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEngineSettingsAreRead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       map[string]any
		problem    string
	}{
		{name: "an object", text: `{"live-restore": true, "mtu": 1400}`, want: map[string]any{"live-restore": true, "mtu": json.Number("1400")}},
		{name: "no object", text: `[1]`, problem: "is not a JSON object"},
		{name: "two objects", text: `{} {}`, problem: "has text behind its JSON object"},
		{name: "no JSON", text: `live-restore: true`, problem: "is not a JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "daemon.json")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := LoadEngineSettings(file)
			if diff := cmp.Diff(c.want, got); diff != "" && c.problem == "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("the error is %v, want %q", err, c.problem)
			}
		})
	}
	if _, err := LoadEngineSettings("/nowhere/daemon.json"); err == nil {
		t.Error("a file that does not exist is no error")
	}
}

// A host that is started again has the Engine with which its lab was made.
func TestALabKeepsItsEngine(t *testing.T) {
	t.Setenv("PATH", "/engine/bin:/bin")
	l := plan(Config{Hosts: 1, Binary: "/b", Engine: map[string]any{"live-restore": true}})
	want := Engine{Path: "/engine/bin:/bin", Settings: map[string]any{"live-restore": true}}
	if diff := cmp.Diff(want, l.Engine); diff != "" {
		t.Errorf("Engine of the lab (-want +got):\n%s", diff)
	}
}
