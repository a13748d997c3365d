package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeptPool6(t *testing.T) {
	dir := t.TempDir()
	linkerDir := filepath.Join(dir, "linker")
	first, err := keptPool6(dir, linkerDir)
	if err != nil || !first.IsValid() {
		t.Fatalf("pool %s, %v", first, err)
	}
	if err := os.Mkdir(linkerDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(linkerDir, "linker.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := keptPool6(dir, linkerDir); again != first || err != nil {
		t.Errorf("then %s, %v", again, err)
	}
	if err := os.Remove(filepath.Join(dir, "pool6.json")); err != nil {
		t.Fatal(err)
	}
	if pool, err := keptPool6(dir, linkerDir); pool.IsValid() || err != nil {
		t.Errorf("a linker that ran without IPv6 gets %s, %v", pool, err)
	}
}
