package dns

import (
	"net/netip"
	"testing"
)

func TestFair(t *testing.T) {
	flooder, victim := netip.MustParseAddr("100.64.1.2"), netip.MustParseAddr("100.64.1.3")
	f := newFair()
	answered := func(asker netip.Addr, n int) (yes int) {
		for range n {
			if f.allow(asker) {
				yes++
			}
		}
		return yes
	}
	f.batch(batchSize - 1)
	if got := answered(flooder, 10_000); got != 10_000 {
		t.Errorf("no backlog: %d of 10000", got)
	}
	f.batch(batchSize)
	if got := answered(flooder, 10_000); got != 10_000 {
		t.Errorf("alone: %d of 10000", got)
	}
	if got := answered(victim, 50); got != 50 {
		t.Errorf("victim: %d of 50", got)
	}
	f.batch(batchSize)
	if got := answered(flooder, 10_000); got != 0 {
		t.Errorf("beyond its share: %d answers", got)
	}
	if got := answered(victim, 50); got != 50 {
		t.Errorf("victim later: %d of 50", got)
	}
	f.batch(3)
	if got := answered(flooder, 100); got != 100 {
		t.Errorf("backlog gone: %d of 100", got)
	}
}
