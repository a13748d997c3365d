package linker

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tombolo/linker/record"
)

var day = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func hostWith(name, block string, claimed time.Time) *record.Host {
	return &record.Host{Name: name, Block4: netip.MustParsePrefix(block), Claimed: claimed}
}

func snapshotOf(hosts ...*record.Host) *record.Snapshot {
	s := &record.Snapshot{Hosts: map[string]*record.Host{}}
	for _, h := range hosts {
		s.Hosts[h.Name] = h
	}
	return s
}

func TestChooseBlock(t *testing.T) {
	small := Config{Host: "h1", Pool4: netip.MustParsePrefix("10.0.0.0/22"), Pool6: netip.MustParsePrefix("fd00:1:2::/48")}
	free, err := chooseBlock(small, snapshotOf())
	if err != nil {
		t.Fatal(err)
	}
	again, err := chooseBlock(small, snapshotOf(hostWith("h1", free.Block4.String(), day)))
	if err != nil || again.Block4 != free.Block4 {
		t.Errorf("own record in the way: %v, %v", again, err)
	}
	lost := hostWith("h1", "10.0.3.0/24", day)
	lost.Block6 = netip.MustParsePrefix("fd00:1:2:0:3::/80")
	if got, err := chooseBlock(small, snapshotOf(lost)); err != nil || got.Block4 != lost.Block4 || !got.Claimed.Equal(day) {
		t.Errorf("what peers remember of this host: %v, %v", got, err)
	}
	other, err := chooseBlock(small, snapshotOf(hostWith("h2", free.Block4.String(), day)))
	if err != nil || other.Block4 == free.Block4 {
		t.Errorf("another host's block chosen: %v, %v", other, err)
	}
	if n4, n6 := other.Block4.Addr().As4()[2], other.Block6.Addr().As16()[9]; n4 != n6 {
		t.Errorf("blocks %s and %s are not in step", other.Block4, other.Block6)
	}
	full := snapshotOf(hostWith("a", "10.0.0.0/24", day), hostWith("b", "10.0.1.0/24", day), hostWith("c", "10.0.2.0/23", day))
	if _, err := chooseBlock(small, full); !errors.Is(err, errNoBlock) {
		t.Errorf("full pool: %v", err)
	}
	small.Block = netip.MustParsePrefix("10.0.2.0/24")
	if got, err := chooseBlock(small, full); err != nil || got.Block4 != small.Block {
		t.Errorf("--block: %v, %v", got, err)
	}
}

func TestNobodyClaimsTheVIPRange(t *testing.T) {
	cfg := Config{Host: "h1", Pool4: netip.MustParsePrefix("100.126.255.0/24")}
	if _, err := chooseBlock(cfg, snapshotOf()); err != nil {
		t.Errorf("beside the range: %v", err)
	}
	cfg.Pool4 = netip.MustParsePrefix("100.127.4.0/22")
	if c, err := chooseBlock(cfg, snapshotOf()); err == nil {
		t.Errorf("claimed %s", c.Block4)
	}
}

func TestContested(t *testing.T) {
	self, pool := hostWith("h2", "10.0.0.0/24", day), netip.MustParsePrefix("10.0.0.0/16")
	for _, tt := range []struct {
		name  string
		rival *record.Host
		lost  bool
	}{
		{"another block", hostWith("h1", "10.0.1.0/24", day.Add(-time.Hour)), false},
		{"younger claim", hostWith("h1", "10.0.0.0/24", day.Add(time.Second)), false},
		{"older claim", hostWith("h1", "10.0.0.0/24", day.Add(-time.Second)), true},
		{"same time, smaller name", hostWith("h1", "10.0.0.0/24", day), true},
		{"same time, larger name", hostWith("h3", "10.0.0.0/24", day), false},
		{"older claim of more than the pool", hostWith("h1", "10.0.0.0/8", day.Add(-time.Second)), false},
		{"older claim of a larger block", hostWith("h3", "10.0.0.0/23", day.Add(-time.Second)), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(self, tt.rival)
			err := contested(s, pool, self)
			if (err != nil) != tt.lost || (tt.lost && !strings.Contains(err.Error(), "belongs to host "+tt.rival.Name)) {
				t.Errorf("contested = %v, want lost %v", err, tt.lost)
			}
			if other := contested(s, pool, tt.rival); within(tt.rival.Block4, pool) && tt.rival.Block4.Overlaps(self.Block4) && (other != nil) == tt.lost {
				t.Errorf("both or neither lose: %v, %v", err, other)
			}
		})
	}
}

func TestEnough(t *testing.T) {
	for _, tt := range []struct {
		alive, known int
		want         bool
	}{{0, 0, true}, {0, 1, false}, {1, 1, true}, {1, 2, true}, {0, 2, false}, {1, 3, false}, {2, 3, true}, {2, 4, true}, {1, 4, false}} {
		if got := enough(tt.alive, tt.known); got != tt.want {
			t.Errorf("enough(%d alive, %d known) = %v", tt.alive, tt.known, got)
		}
	}
}
