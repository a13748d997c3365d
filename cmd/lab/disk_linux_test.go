package lab

import (
	"os"
	"path/filepath"
	"testing"
)

// Two labs share a disk, for example in two mount namespaces. Neither removes the other's folder,
// and the next one removes what is left of one that has ended.
func TestALabRemovesNoFolderThatAnotherOneUses(t *testing.T) {
	dir := t.TempDir()
	mine, other, odd := filepath.Join(dir, "mine"), filepath.Join(dir, "other"), filepath.Join(dir, "odd")
	release := map[string]func(){}
	for _, disk := range []string{mine, other} {
		free, err := makeDisk(disk)
		if err != nil {
			t.Fatal(err)
		}
		release[disk] = free
		if err := os.MkdirAll(filepath.Join(disk, "h1", "docker"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := holdDisk(mine) // as the init of a host does, which goes on when Up has ended
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, want map[string]bool) {
		t.Helper()
		if err := removeDisks(dir); err != nil {
			t.Fatal(err)
		}
		for disk, there := range want {
			if _, err := os.Stat(disk); (err == nil) != there {
				t.Errorf("%s: %s is there: %v, want %v", when, filepath.Base(disk), err == nil, there)
			}
		}
	}
	check("while both labs come up", map[string]bool{mine: true, other: true, odd: true})
	release[mine]()
	check("while the hosts of a lab live", map[string]bool{mine: true, other: true, odd: true})
	held.Close()
	check("after one lab has ended", map[string]bool{mine: false, other: true, odd: true})
	release[other]()
	check("after both have ended", map[string]bool{other: false, odd: true})
	if err := os.Remove(odd); err != nil {
		t.Fatal(err)
	}
	check("when nothing is left", map[string]bool{dir: false})
}
