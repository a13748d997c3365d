package linker

import (
	"net/netip"
	"testing"
)

func TestRandomPool6(t *testing.T) {
	a, b := RandomPool6(), RandomPool6()
	if a == b {
		t.Errorf("%s twice", a)
	}
	for range 100 {
		pool := RandomPool6()
		if err := (Config{Host: "h1", Underlay: netip.MustParseAddr("198.18.0.11"), Pool6: pool}).Validate(); err != nil || !pool.Addr().IsPrivate() {
			t.Errorf("%s: %v", pool, err)
		}
	}
}
