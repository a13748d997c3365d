package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

func TestThePool6IsChosenOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	linkerDir := filepath.Join(dir, "linker")
	first, err := keptPool6(dir, linkerDir)
	if err != nil || !first.IsValid() {
		t.Fatalf("the first pool is %s, error %v", first, err)
	}
	if err := os.Mkdir(linkerDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(linkerDir, "linker.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := keptPool6(dir, linkerDir); again != first || err != nil {
		t.Errorf("the second time the pool is %s (%v), want %s again", again, err, first)
	}
	if err := os.Remove(filepath.Join(dir, "pool6.json")); err != nil {
		t.Fatal(err)
	}
	if pool, err := keptPool6(dir, linkerDir); pool.IsValid() || err != nil {
		t.Errorf("a linker that has run without IPv6 gets the pool %s (%v), want none", pool, err)
	}
}
