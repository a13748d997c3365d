package cli

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/errortest"
	"tombolo/framework/api"
	"tombolo/framework/app"
)

// A shell asks with the hidden command __complete. The last word is unfinished.
func TestCompletionOffersTheWordsThatFit(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	t.Setenv("TOMBOLO_API", socket)
	f.mu.Lock()
	f.show(func(s *api.Snapshot) {
		s.Apps = s.Apps.With(api.App{Status: api.Status{App: "shop", Instances: []api.Instance{
			{App: "shop", Service: "web", Slot: 1}, {App: "shop", Service: "web", Slot: 2}, {App: "shop", Service: "db", Slot: 1},
		}}, Spec: app.App{Name: "shop", Services: map[string]app.Service{"web": {Name: "web"}, "db": {Name: "db"}}}})
	})
	f.mu.Unlock()
	for line, want := range map[string]string{
		"-p ":                             "shop",
		"ps --project-name ":              "shop",
		"up -p ":                          "shop",
		"logs -p ":                        "shop",
		"-p shop logs ":                   "db web",
		"logs -p shop ":                   "db web",
		"logs -p shop web ":               "db web",
		"logs -p nosuch ":                 "",
		"logs --api /nowhere/s -p shop ":  "",
		"resolve ":                        "db.shop web.shop",
		"resolve db --from ":              "1.web.shop 2.web.shop 1.db.shop",
		"-f compose.yaml --profile x lo":  "logs",
		"--project-directory /x do":       "doctor down",
		"-f compose.yaml daemon st":       "status stop",
		"-p shop --env-file e logs --fol": "--follow",
	} {
		root := newRootCommand("dev")
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&bytes.Buffer{})
		root.SetArgs(append([]string{"__complete"}, strings.Split(line, " ")...))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Errorf("tombolo %s<Tab> failed: %v", line, err)
		}
		var words []string
		for _, l := range strings.Split(out.String(), "\n") {
			if word, _, _ := strings.Cut(l, "\t"); word != "" && !strings.HasPrefix(word, ":") {
				words = append(words, word)
			}
		}
		if diff := cmp.Diff(strings.Fields(want), words); diff != "" && len(words)+len(want) > 0 {
			t.Errorf("tombolo %s<Tab> (-want +got):\n%s", line, diff)
		}
	}
}

func TestEveryShellGetsACompletionScript(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		root := newRootCommand("dev")
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs([]string{"completion", shell})
		if err := root.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), "tombolo") {
			t.Errorf("the script for %s has %d bytes and does not name tombolo; error %v", shell, out.Len(), err)
		}
	}
}

// Behind `logs`, -f is --follow; the other project flags keep their meaning.
func TestLogsTakesProjectFlagsBehindItsName(t *testing.T) {
	f := &fakeFramework{lines: []api.LogLine{{Service: "web", Slot: 1, Line: "hello"}}}
	socket := f.serve(t)
	if _, err := tombolo(t, socket, shop, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "compose.yaml")
	writeFile(t, file, shop)
	for _, args := range [][]string{{"-p", "shop", "-f"}, {"--file", file}} {
		root := newRootCommand("dev")
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs(append([]string{"logs", "--api", socket}, args...))
		err := root.ExecuteContext(t.Context())
		errortest.Contains(t, err, "")
		if out.String() != "web.1  | hello\n" {
			t.Errorf("logs %v printed %q", args, out.String())
		}
	}
	root := newRootCommand("dev")
	root.SetArgs([]string{"--project-directory", t.TempDir(), "logs", "--api", socket})
	errortest.Contains(t, root.ExecuteContext(t.Context()), "-p names an app without its file")
}
