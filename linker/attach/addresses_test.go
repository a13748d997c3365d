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

func TestAddressesInUseAreKnownWithoutTheAllocatorsFile(t *testing.T) {
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
				t.Errorf("Reserve returned %s, error %v; want an address other than that of endpoint %s", got, err, attach.Short(epA))
			}
		})
	}
}

func TestEndpointsLoseTheirIPv6AddressWithTheIPv6Block(t *testing.T) {
	b := open(t, t.TempDir())
	if b.InUse() {
		t.Error("InUse is true for an empty table")
	}
	ep, err := b.make(t, epA)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Snapshot()[0].Addr6.IsValid() || !b.InUse() {
		t.Fatalf("the endpoint is %+v, in use: %v; want an IPv6 address, and the table in use", b.Snapshot()[0], b.InUse())
	}
	if err := b.UseBlock(netip.MustParsePrefix("100.64.7.0/24"), netip.Prefix{}); err != nil {
		t.Fatal(err)
	}
	if got := b.Snapshot()[0]; got.Addr6.IsValid() || got.Addr4 != ep.Addr4 {
		t.Errorf("without an IPv6 block the endpoint has %s and %s, want only %s", got.Addr4, got.Addr6, ep.Addr4)
	}
}

// Docker's list of endpoints may be older than the deletion of one of them.
func TestDeletedEndpointIsNotAdoptedWithinGrace(t *testing.T) {
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
			t.Errorf("an endpoint was adopted right after it was deleted: %+v", got)
		}
		time.Sleep(attach.Grace)
		for range 2 { // the first call forgets the deletion, the second adopts
			b.Reconcile(t.Context(), "net", old)
		}
		if got := ids(b.Snapshot()); len(got) != 1 {
			t.Errorf("after Grace the table has the endpoints %v, want the one that Docker still lists", got)
		}
	})
}
