package dns

import (
	"net/netip"
	"testing"
)

func TestABacklogIsSharedFairly(t *testing.T) {
	flooder, victim := netip.MustParseAddr("100.64.1.2"), netip.MustParseAddr("100.64.1.3")
	f := newFair()
	check := func(when string, asker netip.Addr, asked, want int) {
		t.Helper()
		answered := 0
		for range asked {
			if f.allow(asker) {
				answered++
			}
		}
		if answered != want {
			t.Errorf("%s, %d of %d queries were answered, want %d", when, answered, asked, want)
		}
	}
	f.batch(batchSize - 1)
	check("without a backlog", flooder, 10_000, 10_000)
	f.batch(batchSize)
	check("with a backlog of one asker", flooder, 10_000, 10_000)
	check("of another asker with few queries", victim, 50, 50)
	f.batch(batchSize)
	check("of an asker beyond its share", flooder, 10_000, 0)
	check("of another asker with few queries, later", victim, 50, 50)
	f.batch(3)
	check("when the backlog is gone", flooder, 100, 100)
}
