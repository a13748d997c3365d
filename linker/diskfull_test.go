package linker

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/linker/record"
)

// A linker whose disk is full says so and goes on: its host's containers need it
// all the same.
func TestDiskFull(t *testing.T) {
	h := newTestHost(t, 11)
	smallDisk(t, h.cfg.StateDir)
	h.start(t)
	h.client(t)
	eventually(t, "block claimed", func() bool { return h.block.Current() != nil })
	filler := filepath.Join(h.cfg.StateDir, "filler")
	_ = os.WriteFile(filler, bytes.Repeat([]byte{1}, 1<<20), 0o600) // as much as there is room for
	epoch := h.catalog.Epoch()
	remembered := func(later uint64) { // by a peer: of this host, from a run that the disk does not know
		own := h.catalog.Snapshot().Hosts[h.cfg.Host]
		merge(t, h.catalog, record.Record{Key: record.Key{Kind: record.KindHost, Name: h.cfg.Host}, Owner: h.cfg.Host,
			Version: record.Version{Epoch: epoch + later, Seq: 1}, Host: own})
	}
	remembered(10)
	eventually(t, "both files are complained of", func() bool {
		all := strings.Join(h.problems.list(), "\n")
		return strings.Contains(all, "state: ") && strings.Contains(all, "catalog file: ") && strings.Contains(all, "no space left")
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	remembered(20)
	rival(t, h, netip.MustParsePrefix("100.64.9.0/24"), time.Now())
	eventually(t, "all is well again", func() bool { return len(h.problems.list()) == 0 })
	h.stop()
	if got := h.state.get().Epoch; got < epoch+20 {
		t.Errorf("epoch %d is saved, after %d", got, epoch+20)
	}

	_ = os.WriteFile(filler, bytes.Repeat([]byte{1}, 1<<20), 0o600)
	h.start(t) // with a disk that is full from the beginning
	h.client(t)
	eventually(t, "block used", func() bool { return h.block.Current() != nil })
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	h.stop()
}

// So does one that has never had a block before.
func TestDiskFullAtFirst(t *testing.T) {
	h := newTestHost(t, 23)
	smallDisk(t, h.cfg.StateDir)
	filler := filepath.Join(h.cfg.StateDir, "filler")
	_ = os.WriteFile(filler, bytes.Repeat([]byte{1}, 1<<20), 0o600) // as much as there is room for
	h.start(t)
	h.client(t)
	eventually(t, "block used", func() bool { return h.block.Current() != nil })
	if _, err := h.table.Reserve(t.Context(), netip.Addr{}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("an address that nobody could remember: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := h.table.Reserve(t.Context(), netip.Addr{}); err != nil {
		t.Error(err)
	}
	h.stop()
}

// smallDisk puts a folder on a disk of its own.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
