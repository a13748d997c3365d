package overlay

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel has the wanted sets, whether nft wrote the whole table, netlink messages changed
// single elements, or nft replaced the table because too many elements changed.
func TestTheKernelHasTheWantedSets(t *testing.T) {
	t.Parallel()
	full, empty := goldenConfig().unmapped(), goldenConfig()
	empty.Peers, empty.Endpoints, empty.Groups, empty.Publish, empty.Blocked, empty.Services = nil, nil, nil, nil, nil, nil
	other := goldenConfig().unmapped()
	other.Services[0].Targets, other.Services[2].Targets = other.Services[0].Targets[:1], other.Services[0].Targets[1:2]
	other.Publish[0].Port, other.Endpoints[1].Internal = 8888, false
	many, most := full, full
	many.Groups = append(manyPairs(900), full.Groups...)
	most.Groups = append(manyPairs(3000), full.Groups...)
	ns := newNamespace(t)
	var table table
	for i, c := range []Config{full, empty, full, other, full, many, most, full, empty} {
		want := compile(c)
		enter(t, ns, func() {
			changed, err := table.apply(t.Context(), want)
			must(t, err)
			have, err := setContents()
			must(t, err)
			if diff := cmp.Diff(want.sets, have); diff != "" || !changed {
				t.Errorf("step %d: apply reports changed = %t, want true; sets in the kernel (-want +got):\n%s", i, changed, diff)
			}
			if changed, err := table.apply(t.Context(), want); changed || err != nil {
				t.Errorf("step %d: a repeated apply = %t, %v, want no change and no error", i, changed, err)
			}
		})
	}
}

// The test of a kernel without VXLAN is in test/vm.
func TestCheckVXLANCreatesNoDevice(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	for range 2 {
		enter(t, ns, func() { must(t, CheckVXLAN()) })
		if links := string(runIn(t, ns, "ip -br link")); strings.Contains(links, Device) {
			t.Fatalf("CheckVXLAN left a device: %s", links)
		}
	}
}

func TestDeviceErrorsAreClassified(t *testing.T) {
	want := &netlink.Vxlan{VxlanId: DefaultVNI, Port: DefaultPort}
	for _, c := range []struct{ cause, is error }{
		{unix.EOPNOTSUPP, ErrNoVXLAN}, {unix.EEXIST, ErrPortInUse}, {unix.EADDRINUSE, ErrPortInUse}, {unix.EPERM, unix.EPERM},
	} {
		if err := deviceError(c.cause, want); !errors.Is(err, c.is) || !errors.Is(err, c.cause) {
			t.Errorf("deviceError(%v) = %v, want it to be %v", c.cause, err, c.is)
		}
	}
	if err := deviceError(nil, want); err != nil {
		t.Errorf("deviceError(nil) = %v", err)
	}
}
