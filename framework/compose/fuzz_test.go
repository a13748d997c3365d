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

// FuzzLoad loads any single file. Load must return an App that passes Validate and whose
// canonical text gives the same App, or an error with a text.
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
			return // the input must not read files of this machine
		}
		file := filepath.Join(t.TempDir(), "compose.yaml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		a, _, err := Load(context.Background(), Options{Files: []string{file}, ProjectName: "fuzz"})
		if err != nil {
			if err.Error() == "" {
				t.Error("Load returns an error without a text")
			}
			return
		}
		if err := a.Validate(); err != nil {
			t.Errorf("Load accepts an app that Validate refuses: %v", err)
		}
		canonical, err := Canonical(a)
		if err != nil {
			t.Fatal(err)
		}
		sameAgain(t, a, canonical)
	})
}

// FuzzCanonical writes any App that passes Validate: Canonical must not fail.
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
