package overlay

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestCheckPoolNamesTheOverlappingRoute(t *testing.T) {
	t.Parallel()
	h := newLab(t, 2).hosts[0]
	h.set()
	h.run(h.endpoint(5))
	check := func() error {
		return inside(h.ns, func() error { return CheckPool(h.config.Pool4, netip.Prefix{}, h.config.Pool6) })
	}
	if err := check(); err != nil {
		t.Errorf("CheckPool complains about our own routes or the default route: %v", err)
	}
	for _, c := range []struct{ make, undo, says string }{
		{"ip route add 100.96.0.0/16 dev eth0", "ip route del 100.96.0.0/16", "100.96.0.0/16 on eth0 (table 254)"},
		{"ip route add 100.100.1.1 dev eth0 table 52", "ip route del 100.100.1.1 table 52", "100.100.1.1/32 on eth0 (table 52)"},
		{"ip addr add 100.77.0.1/32 dev lo", "ip addr del 100.77.0.1/32 dev lo", "100.77.0.1/32 on lo (table 255)"},
		{"ip route add 100.0.0.0/8 dev eth0", "ip route del 100.0.0.0/8", "100.0.0.0/8 on eth0 (table 254)"},
		{"ip route add blackhole fd42:1:2:9::/64", "ip route del blackhole fd42:1:2:9::/64", "fd42:1:2:9::/64"},
	} {
		runIn(t, h.ns, c.make)
		err := check()
		if !errors.Is(err, ErrPoolOverlap) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("after %q: CheckPool = %v, want an ErrPoolOverlap that names %q", c.make, err, c.says)
		}
		runIn(t, h.ns, c.undo)
	}
	runIn(t, h.ns, "ip route add 0.0.0.0/1 dev eth0 && ip route add 128.0.0.0/1 dev eth0")
	if err := check(); err != nil {
		t.Errorf("CheckPool complains about a default route in two halves: %v", err)
	}
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 1, 2, 3, 4})
	f.Add([]byte{5, 0, 1, 0x80, 1, 0, 0, 0, 4, 0, 2, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		addElements(contents{}, "senders4", b)
		_, _, _ = parseCounter(b)
	})
}
