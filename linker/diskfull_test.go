package linker

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tombolo/linker/record"
)

// A linker whose disk is full reports that and goes on, because its containers need it.
func TestFullDiskIsReported(t *testing.T) {
	h := newTestHost(t, 11)
	smallDisk(t, h.cfg.StateDir)
	h.start(t)
	h.awaitBlock(t)
	filler := filepath.Join(h.cfg.StateDir, "filler")
	_ = os.WriteFile(filler, bytes.Repeat([]byte{1}, 1<<20), 0o600) // fills the disk
	epoch := h.catalog.Epoch()
	peerRemembers := func(later uint64) { // a later run of this host than its disk knows
		own := h.catalog.Snapshot().Hosts[h.host.id]
		merge(t, h.catalog, record.Record{Key: record.Key{Kind: record.KindHost, Name: h.host.id}, Owner: h.host.id,
			Version: record.Version{Epoch: epoch + later, Seq: 1}, Host: own})
	}
	peerRemembers(10)
	eventually(t, "the problems name both files", func() bool {
		all := fmt.Sprint(h.problems.List())
		return strings.Contains(all, "state-not-saved: ") && strings.Contains(all, "catalog-not-saved: ") && strings.Contains(all, "no space left")
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	peerRemembers(20)
	addRival(t, h, netip.MustParsePrefix("100.64.9.0/24"), record.HoldSettled)
	eventually(t, "no problem is left", func() bool { return len(h.problems.List()) == 0 })
	h.stop()
	if got := h.state.get().Epoch; got < epoch+20 {
		t.Errorf("the state file has epoch %d, want at least %d", got, epoch+20)
	}

	_ = os.WriteFile(filler, bytes.Repeat([]byte{1}, 1<<20), 0o600)
	h.start(t) // with a disk that is full from the start
	h.awaitBlock(t)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	h.stop()
}

func TestFullDiskAtTheFirstStart(t *testing.T) {
	h := newTestHost(t, 23)
	smallDisk(t, h.cfg.StateDir)
	filler := filepath.Join(h.cfg.StateDir, "filler")
	_ = os.WriteFile(filler, bytes.Repeat([]byte{1}, 1<<20), 0o600) // fills the disk
	h.start(t)
	h.awaitBlock(t)
	if _, err := h.table.Reserve(t.Context(), netip.Addr{}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a request for an address returned %v, want an error because the file cannot be written", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := h.table.Reserve(t.Context(), netip.Addr{}); err != nil {
		t.Errorf("a request for an address failed although the disk has room again: %v", err)
	}
	h.stop()
}

// smallDisk mounts a small file system on a folder.
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
