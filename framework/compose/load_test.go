package compose

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/app"
)

var update = flag.Bool("update", false, "write the golden files")

// env is the environment of the golden tests.
var env = []string{"HOME=/home/u", "TAG=7", "FROM_ENV=client"}

// cases returns the Compose projects in a folder of testdata, by name. A project is a
// file, or a folder with a compose.yaml.
func cases(t testing.TB, dir string) map[string]Options {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", dir))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Options{}
	for _, e := range entries {
		file := filepath.Join("testdata", dir, e.Name())
		name, isFile := strings.CutSuffix(e.Name(), ".yaml")
		switch {
		case e.IsDir():
			found[name] = Options{WorkingDir: file, Env: env}
		case isFile:
			found[name] = Options{Files: []string{file}, Env: env}
		}
	}
	return found
}

// golden compares got with a file of testdata, or writes the file if -update is set.
func golden(t *testing.T, dir, name, got string) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	got = strings.ReplaceAll(got, here, "$PWD")
	file := filepath.Join("testdata", dir, name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the result differs from %s (-want +got):\n%s", file, diff)
	}
}

func warningLines(warnings []app.Warning) string {
	var out strings.Builder
	for _, w := range warnings {
		out.WriteString("# warning: " + w.Error() + "\n")
	}
	return out.String()
}

func TestLoad(t *testing.T) {
	for name, o := range cases(t, "ok") {
		t.Run(name, func(t *testing.T) {
			a, warnings, err := Load(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			text, err := Canonical(a)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "ok", name, warningLines(warnings)+string(text))
			if err := a.Validate(); err != nil {
				t.Errorf("Load accepts an app that Validate refuses: %v", err)
			}
			sameOverJSON(t, a)
			sameAgain(t, a, text)
		})
	}
}

// sameOverJSON sends an app through JSON, as the API does.
func sameOverJSON(t *testing.T, a *app.App) {
	t.Helper()
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var again app.App
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(second)); diff != "" {
		t.Errorf("the app changes when it goes through JSON (-want +got):\n%s", diff)
	}
}

// sameAgain loads the canonical text of an app, which must give the same app.
func sameAgain(t *testing.T, a *app.App, text []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	again, _, err := Load(context.Background(), Options{Files: []string{file}})
	if err != nil {
		t.Fatalf("Load refuses the canonical text: %v", err)
	}
	if diff := cmp.Diff(a, again); diff != "" {
		t.Errorf("the canonical text gives another app (-want +got):\n%s", diff)
	}
	textAgain, err := CanonicalJSON(again)
	if err != nil || !json.Valid(textAgain) {
		t.Errorf("CanonicalJSON returns invalid JSON, or the error %v", err)
	}
}

func TestShortFormsMeanTheSameAsLongForms(t *testing.T) {
	c := cases(t, "ok")
	short, _, err := Load(context.Background(), c["short"])
	if err != nil {
		t.Fatal(err)
	}
	long, _, err := Load(context.Background(), c["long"])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(short, long); diff != "" {
		t.Errorf("the short forms give another app than the long forms (-short +long):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, o := range cases(t, "refuse") {
		t.Run(name, func(t *testing.T) {
			a, warnings, err := Load(context.Background(), o)
			if err == nil {
				t.Fatalf("Load accepts the file: %+v", a)
			}
			golden(t, "refuse", name, warningLines(warnings)+err.Error()+"\n")
		})
	}
}

func TestOptionsSelectFilesNameAndProfiles(t *testing.T) {
	dir := func(name string) string { return filepath.Join("testdata", "ok", name) }
	for _, c := range []struct {
		name string
		o    Options
		app  string
		want []string // services
	}{
		{"ProjectName names the app", Options{WorkingDir: dir("profiles"), ProjectName: "mine"}, "mine", []string{"web"}},
		{"COMPOSE_PROJECT_NAME names the app", Options{WorkingDir: dir("profiles"), Env: []string{"COMPOSE_PROJECT_NAME=env"}}, "env", []string{"web"}},
		{".env names the app", Options{WorkingDir: dir("envfile")}, "dotted", []string{"web"}},
		{"the folder names the app if nothing else does", Options{WorkingDir: dir("envfile"), EnvFiles: []string{"/dev/null"}, Env: env}, "envfile", []string{"web"}},
		{"COMPOSE_PROFILES activates profiles", Options{WorkingDir: dir("profiles"), Env: []string{"COMPOSE_PROFILES=extra,none"}}, "prof", []string{"extra", "web"}},
		{"Profiles activates profiles", Options{WorkingDir: dir("profiles"), Profiles: []string{"extra"}}, "prof", []string{"extra", "web"}},
		{"COMPOSE_FILE names the file", Options{Env: []string{"COMPOSE_FILE=" + dir("include/compose.yaml")}}, "inc", []string{"db", "web"}},
		{"the file is found in a parent folder", Options{WorkingDir: dir("include/db/../db")}, "db", []string{"db"}},
		{"Files names one file of two", Options{Files: []string{dir("override/compose.yaml")}}, "over", []string{"web"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _, err := Load(context.Background(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for name := range a.Services {
				got = append(got, name)
			}
			slices.Sort(got)
			if a.Name != c.app || !cmp.Equal(c.want, got) {
				t.Errorf("got app %s with services %v, want %s with %v", a.Name, got, c.app, c.want)
			}
		})
	}
}

func TestNoFileIsAnErrorThatNamesTheFolder(t *testing.T) {
	dir := t.TempDir()
	_, _, err := Load(context.Background(), Options{WorkingDir: dir})
	if err == nil || !strings.HasPrefix(err.Error(), "no Compose file in "+dir+" or a folder above it (looked for compose.yaml, ") {
		t.Errorf("Load without a file returned %v, want an error that names the folder and the files looked for", err)
	}
	_, _, err = Load(context.Background(), Options{Files: []string{filepath.Join(dir, "x.yaml")}})
	if err == nil || err.Error() != "there is no Compose file "+filepath.Join(dir, "x.yaml") {
		t.Errorf("Load of a file that does not exist returned %v, want an error that names it", err)
	}
}

// Messages show <stdin> for the file "-", and leave dashes elsewhere alone.
func TestMessagesNameStandardInput(t *testing.T) {
	file, err := os.Open(filepath.Join("testdata", "stdin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	before := os.Stdin
	os.Stdin = file
	defer func() { os.Stdin = before }()
	_, _, err = Load(context.Background(), Options{Files: []string{"-"}})
	want := `<stdin>:4:19: services.web-1.environment.A: bad variable in "${x-y"; write $$ for a $ that begins no variable`
	if err == nil || err.Error() != want {
		t.Errorf("Load returned %v\nwant %s", err, want)
	}
}
