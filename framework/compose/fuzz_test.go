package compose

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tombolo/framework/app"
)

// FuzzLoad feeds Load single files: it must answer with an App that passes its own
// checks and whose canonical text means the same, or with an error that names the
// file.
func FuzzLoad(f *testing.F) {
	for _, dir := range []string{"ok", "refuse"} {
		for _, o := range cases(f, dir) {
			if len(o.Files) == 0 {
				continue
			}
			data, err := os.ReadFile(o.Files[0])
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("a: &a [*a]\nservices: {x: {<<: *a}}"))
	f.Add([]byte("a: &a {<<: *b}\nb: &b {<<: *a}\nservices: *a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text := string(data)
		if strings.Contains(text, "include") || strings.Contains(text, "file") {
			return // other files are the machine's, not the input's
		}
		file := filepath.Join(t.TempDir(), "compose.yaml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		a, _, err := Load(context.Background(), Options{Files: []string{file}, ProjectName: "fuzz"})
		if err != nil {
			if err.Error() == "" {
				t.Error("an empty error")
			}
			return
		}
		if err := a.Validate(); err != nil {
			t.Errorf("Load passed what Validate refuses: %v", err)
		}
		canonical, err := Canonical(a)
		if err != nil {
			t.Fatal(err)
		}
		sameAgain(t, a, canonical)
	})
}

// FuzzCanonical writes any App that passes its checks, whoever made it.
func FuzzCanonical(f *testing.F) {
	for _, o := range cases(f, "ok") {
		a, _, err := Load(context.Background(), o)
		if err != nil {
			f.Fatal(err)
		}
		data, err := json.Marshal(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"name":"a","services":{"a":{"name":"a","image":"a","replicas":1,"healthcheck":{"test":[""]}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a app.App
		if json.Unmarshal(data, &a) != nil || a.Validate() != nil {
			return
		}
		if _, err := Canonical(&a); err != nil {
			t.Error(err)
		}
	})
}
