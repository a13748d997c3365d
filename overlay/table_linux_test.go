package overlay

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What the kernel holds is what was wanted, whichever way it got there: the text
// for the whole, messages for small differences, the whole again for large ones.
func TestKernelHoldsWhatWasWanted(t *testing.T) {
	t.Parallel()
	full, empty := goldenConfig().unmapped(), goldenConfig()
	empty.Peers, empty.Endpoints, empty.Allow, empty.Publish, empty.Blocked = nil, nil, nil, nil, nil
	other := goldenConfig().unmapped()
	other.Publish[0].Port, other.Endpoints[1].Internal = 8888, false
	many, most := full, full
	many.Allow = append(manyAllows(900), full.Allow...)
	most.Allow = append(manyAllows(3000), full.Allow...)
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
				t.Errorf("step %d, changed %t: %s", i, changed, diff)
			}
			if changed, err := table.apply(t.Context(), want); changed || err != nil {
				t.Errorf("step %d: the repeat changed something, or failed: %v", i, err)
			}
		})
	}
}

// A kernel without VXLAN is in test/vm.
func TestCheckVXLANMakesNothing(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	for range 2 {
		enter(t, ns, func() { must(t, CheckVXLAN()) })
		if links := string(runIn(t, ns, "ip -br link")); strings.Contains(links, Device) {
			t.Fatal(links)
		}
	}
}

func TestDeviceError(t *testing.T) {
	want := &netlink.Vxlan{VxlanId: DefaultVNI, Port: DefaultPort}
	for _, c := range []struct{ cause, is error }{
		{unix.EOPNOTSUPP, ErrNoVXLAN}, {unix.EEXIST, ErrPortInUse}, {unix.EADDRINUSE, ErrPortInUse}, {unix.EPERM, unix.EPERM},
	} {
		if err := deviceError(c.cause, want); !errors.Is(err, c.is) || !errors.Is(err, c.cause) {
			t.Errorf("%v: %v", c.cause, err)
		}
	}
	if err := deviceError(nil, want); err != nil {
		t.Error(err)
	}
}
