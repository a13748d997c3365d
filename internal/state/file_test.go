package state_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tombolo/internal/state"
)

type doc struct{ Name string }

func TestSaveThenLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "doc.json")
	for _, name := range []string{"one", "two"} {
		if err := state.Save(path, doc{name}, name == "two"); err != nil {
			t.Fatal(err)
		}
		var got doc
		if err := state.Load(path, &got); err != nil || got.Name != name {
			t.Fatalf("Load = %+v, %v; want %q", got, err, name)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("files left: %v, %v; want the document alone", entries, err)
	}
}

func TestLoadMissingLeavesTheValue(t *testing.T) {
	got := doc{"default"}
	if err := state.Load(filepath.Join(t.TempDir(), "none"), &got); err != nil || got.Name != "default" {
		t.Errorf("Load = %+v, %v", got, err)
	}
}

func TestLoadBrokenMovesAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.json")
	if err := os.WriteFile(path, []byte(`{"Name":`), 0o600); err != nil {
		t.Fatal(err)
	}
	var got doc
	if err := state.Load(path, &got); !errors.Is(err, state.ErrBroken) {
		t.Fatalf("Load = %v, want ErrBroken", err)
	}
	if _, err := os.Stat(path + ".broken"); err != nil {
		t.Error(err)
	}
	if err := state.Load(path, &got); err != nil {
		t.Errorf("second Load = %v, want a fresh start", err)
	}
}

func TestLoadOrResetStartsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.json")
	if err := os.WriteFile(path, []byte(`{"Name":"half","Size":`), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	got := doc{"default"}
	if err := state.LoadOrReset(path, &got, slog.New(slog.NewTextHandler(&log, nil)), "names are lost"); err != nil || got.Name != "" {
		t.Errorf("LoadOrReset of a broken file returned %v and left %+v; want no error and the zero value", err, got)
	}
	if !strings.Contains(log.String(), "names are lost") || !strings.Contains(log.String(), path+".broken") {
		t.Errorf("the log is %q, want the message and where the file is now", log.String())
	}
}
