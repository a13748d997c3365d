package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/cmd/errortest"
)

// runConfig runs `tombolo config` below a root command like the real one.
func runConfig(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	root := &cobra.Command{Use: "tombolo", SilenceErrors: true, SilenceUsage: true, TraverseChildren: true}
	var project projectFlags
	project.register(root.Flags(), "f")
	root.AddCommand(project.accept(newConfigCommand(&project))...)
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(args)
	err = root.ExecuteContext(context.Background())
	return out.String(), errs.String(), err
}

func composeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const twoServices = `version: "3"
name: shop
services:
  web: {image: "web:1", depends_on: [db]}
  db: {image: "db:1", volumes: ["data:/data"]}
  again: {image: "web:1", profiles: [more]}
volumes: {data: }
`

func TestConfigPrintsTheListThatAFlagNames(t *testing.T) {
	file, other := composeFile(t, twoServices), composeFile(t, "services: {more: {image: db:1}}\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-f", file, "config", "--services"}, "db\nweb\n"},
		{[]string{"-f", file, "--profile", "more", "config", "--services"}, "again\ndb\nweb\n"},
		{[]string{"--file", file, "config", "--images"}, "db:1\nweb:1\n"},
		{[]string{"-f", file, "config", "--volumes"}, "data\n"},
		{[]string{"-f", file, "config", "-q"}, ""},
		{[]string{"-f", file, "config", "-f", other, "--services"}, "db\nmore\nweb\n"},
		{[]string{"-f", file, "--profile", "none", "config", "--profile", "more", "--services"}, "again\ndb\nweb\n"},
	} {
		out, stderr, err := runConfig(t, c.args...)
		if err != nil {
			t.Errorf("tombolo %v: %v", c.args, err)
		}
		if diff := cmp.Diff(c.want, out); diff != "" {
			t.Errorf("tombolo %v (-want +got):\n%s", c.args, diff)
		}
		if strings.Count(stderr, "warning: ") != 1 || !strings.Contains(stderr, "compose.yaml:1:1: version: obsolete") {
			t.Errorf("tombolo %v warned %q, want one warning about version", c.args, stderr)
		}
	}
}

func TestConfigPrintsYAMLOrJSON(t *testing.T) {
	file := composeFile(t, twoServices)
	out, _, err := runConfig(t, "-f", file, "-p", "mine", "config", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var app struct{ Name string }
	if err := json.Unmarshal([]byte(out), &app); err != nil || app.Name != "mine" {
		t.Errorf("the JSON names the app %q (%v), want mine", app.Name, err)
	}
	out, _, err = runConfig(t, "-f", file, "config")
	if err != nil || !strings.HasPrefix(out, "name: shop\nnetworks:\n") || strings.HasSuffix(out, "\n\n") {
		t.Errorf("got error %v and YAML:\n%s", err, out)
	}
	var usage usageError
	if _, _, err = runConfig(t, "-f", file, "config", "--format", "xml"); !errors.As(err, &usage) {
		t.Errorf("--format xml ends with %v, want a usageError", err)
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	file := composeFile(t, "services:\n  web:\n    image: web\n    prots: [80]\n    links: [db]\n")
	_, _, err := runConfig(t, "-f", file, "config")
	want := "2 problems:\n" + file + ":4:5: services.web.prots: unknown key, did you mean ports?\n" +
		file + ":5:13: services.web.links.db: there is no service db"
	if err == nil || err.Error() != want {
		t.Errorf("tombolo config returned %v\nwant %s", err, want)
	}
}

func TestConfigNamesAMissingFile(t *testing.T) {
	_, _, err := runConfig(t, "-f", "/nosuch.yaml", "config")
	errortest.Contains(t, err, "there is no Compose file /nosuch.yaml")
}

func TestTheExamplesLoadWithoutAWarning(t *testing.T) {
	for name, services := range map[string]string{"guestbook": "cache\ndb\nweb\n", "stranger": "tool\n"} {
		out, stderr, err := runConfig(t, "-f", "../../examples/"+name+"/compose.yaml", "config", "--services")
		if err != nil || out != services || stderr != "" {
			t.Errorf("config --services of example %s: error %v, warnings %q, services %q, want %q", name, err, stderr, out, services)
		}
	}
}

func TestProjectFlagsHaveTheNamesOfDockerCompose(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	var p projectFlags
	p.register(flags, "f")
	for name, short := range map[string]string{"file": "f", "project-name": "p", "profile": "", "env-file": "", "project-directory": ""} {
		if f := flags.Lookup(name); f == nil || f.Shorthand != short {
			t.Errorf("there is no flag --%s with the letter %q", name, short)
		}
	}
}
