package attach_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/linker/attach"
)

// The table alone is enough to know which addresses are in use.
func TestAddressesFileLost(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"removed": os.Remove,
		"broken":  func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, t.TempDir())
			ep, err := b.make(t, epA)
			if err != nil {
				t.Fatal(err)
			}
			if err := lose(filepath.Join(b.dir, "ipam.json")); err != nil {
				t.Fatal(err)
			}
			again := open(t, b.dir)
			got, err := again.Reserve(t.Context(), netip.Addr{})
			if err != nil || got == ep.Addr4 {
				t.Errorf("the next is given %s, %v; %s has it", got, err, attach.Short(epA))
			}
		})
	}
}

// With another IPv6 pool, what the old one's containers have leads nowhere.
func TestBlockLosesItsIPv6(t *testing.T) {
	b := open(t, t.TempDir())
	if b.InUse() {
		t.Error("an empty table is in use")
	}
	ep, err := b.make(t, epA)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Snapshot()[0].Addr6.IsValid() || !b.InUse() {
		t.Fatalf("%+v", b.Snapshot()[0])
	}
	if err := b.UseBlock(netip.MustParsePrefix("100.64.7.0/24"), netip.Prefix{}); err != nil {
		t.Fatal(err)
	}
	if got := b.Snapshot()[0]; got.Addr6.IsValid() || got.Addr4 != ep.Addr4 {
		t.Errorf("%s, %s", got.Addr4, got.Addr6)
	}
}

// A listing of Docker's may be older than the deletion of what it lists.
func TestDeletedIsNotAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		ep, err := b.make(t, epA)
		if err != nil {
			t.Fatal(err)
		}
		old := []attach.DockerEndpoint{{ID: epA, Addr4: ep.Addr4}}
		if err := b.Delete(t.Context(), epA); err != nil {
			t.Fatal(err)
		}
		b.Reconcile(t.Context(), "net", old)
		if got := b.Snapshot(); len(got) > 0 {
			t.Errorf("resurrected: %+v", got)
		}
		time.Sleep(attach.Grace)
		for range 2 { // if it is still there, it is there
			b.Reconcile(t.Context(), "net", old)
		}
		if got := ids(b.Snapshot()); len(got) != 1 {
			t.Errorf("never adopted: %v", got)
		}
	})
}
