package block

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
	return &record.Host{Name: name, Block4: netip.MustParsePrefix(block), Hold: record.HoldSettled, Claimed: claimed}
}

func snapshotOf(hosts ...*record.Host) *record.Snapshot {
	s := &record.Snapshot{Hosts: map[string]*record.Host{}}
	for _, h := range hosts {
		s.Hosts[h.Name] = h
	}
	return s
}

func TestChoose(t *testing.T) {
	small := Rules{Host: "h1", Pool4: netip.MustParsePrefix("10.0.0.0/22"), Pool6: netip.MustParsePrefix("fd00:1:2::/48")}
	free, err := small.choose(snapshotOf())
	if err != nil {
		t.Fatal(err)
	}
	again, err := small.choose(snapshotOf(hostWith("h1", free.Block4.String(), day)))
	if err != nil || again.Block4 != free.Block4 {
		t.Errorf("a host whose own record holds %s chose %v (%v), want the same block", free.Block4, again, err)
	}
	lost := hostWith("h1", "10.0.3.0/24", day)
	lost.Block6 = netip.MustParsePrefix("fd00:1:2:0:3::/80")
	if got, err := small.choose(snapshotOf(lost)); err != nil || got.Block4 != lost.Block4 || !got.Claimed.Equal(day) {
		t.Errorf("a host that lost its state chose %v (%v), want the claim that its peers remember", got, err)
	}
	other, err := small.choose(snapshotOf(hostWith("h2", free.Block4.String(), day)))
	if err != nil || other.Block4 == free.Block4 {
		t.Errorf("chose %v (%v), which another host holds", other, err)
	}
	if n4, n6 := other.Block4.Addr().As4()[2], other.Block6.Addr().As16()[9]; n4 != n6 {
		t.Errorf("the blocks %s and %s have different numbers", other.Block4, other.Block6)
	}
	full := snapshotOf(hostWith("a", "10.0.0.0/24", day), hostWith("b", "10.0.1.0/24", day), hostWith("c", "10.0.2.0/23", day))
	if got, err := small.choose(full); !errors.Is(err, errNoBlock) {
		t.Errorf("with a full pool choose returned %v and the error %v, want errNoBlock", got, err)
	}
	small.Fixed = netip.MustParsePrefix("10.0.2.0/24")
	if got, err := small.choose(full); err != nil || got.Block4 != small.Fixed {
		t.Errorf("chose %v (%v), want the fixed block although others hold it", got, err)
	}
}

func TestNobodyClaimsTheServiceRange(t *testing.T) {
	rules := Rules{Host: "h1", Pool4: netip.MustParsePrefix("10.0.0.0/20")}
	var taken []*record.Host
	for n := range 15 {
		c, err := rules.choose(snapshotOf(taken...))
		if err != nil {
			t.Fatalf("after %d blocks: %v", n, err)
		}
		taken = append(taken, hostWith(string(rune('a'+n)), c.Block4.String(), day))
	}
	if c, err := rules.choose(snapshotOf(taken...)); err == nil {
		t.Errorf("chose %s, which is in the range of service addresses", c.Block4)
	}
	if rules.allow(Claim{Block4: netip.MustParsePrefix("10.0.15.0/24")}) {
		t.Error("a claim of the last run in the range of service addresses is allowed")
	}
}

func TestServiceRanges(t *testing.T) {
	for pool, want := range map[string]string{
		"100.64.0.0/10": "100.127.0.0/16", "10.0.0.0/8": "10.252.0.0/14", "10.99.0.0/16": "10.99.252.0/22",
		"10.99.0.0/20": "10.99.15.0/24", "10.99.0.0/21": "invalid Prefix", "10.99.0.0/24": "invalid Prefix",
	} {
		if got := ServiceRange4(netip.MustParsePrefix(pool)); got.String() != want {
			t.Errorf("ServiceRange4(%s) = %s, want %s", pool, got, want)
		}
	}
	if got := ServiceRange6(netip.MustParsePrefix("fd42:1:2::/48")); got.String() != "fd42:1:2:ffff:ffff::/80" {
		t.Errorf("ServiceRange6 = %s, want the last /80", got)
	}
	if got := ServiceRange6(netip.Prefix{}); got.IsValid() {
		t.Errorf("ServiceRange6 without a pool = %s, want none", got)
	}
}

func TestContested(t *testing.T) {
	holding := func(name, block string, hold record.Hold) *record.Host {
		h := hostWith(name, block, day)
		h.Hold = hold
		return h
	}
	self := holding("h2", "10.0.0.0/24", record.HoldSettled)
	contested := func(s *record.Snapshot, h *record.Host) error {
		rules := Rules{Host: h.Name, Pool4: netip.MustParsePrefix("10.0.0.0/16")}
		return rules.contested(s, Claim{Block4: h.Block4}, h.Hold)
	}
	yearsAgo := holding("h1", "10.0.0.0/24", record.HoldAnnounced)
	yearsAgo.Claimed = day.Add(-10 * 365 * 24 * time.Hour)
	for _, tt := range []struct {
		name  string
		rival *record.Host
		lost  bool
	}{
		{"another block", holding("h1", "10.0.1.0/24", record.HoldUsed), false},
		{"a newcomer", holding("h1", "10.0.0.0/24", record.HoldAnnounced), false},
		{"a newcomer whose clock is years behind", yearsAgo, false},
		{"a host with containers", holding("h3", "10.0.0.0/24", record.HoldUsed), true},
		{"an equal hold, smaller name", holding("h1", "10.0.0.0/24", record.HoldSettled), true},
		{"an equal hold, larger name", holding("h3", "10.0.0.0/24", record.HoldSettled), false},
		{"a host with containers in more than the pool", holding("h1", "10.0.0.0/8", record.HoldUsed), false},
		{"a host with containers in a larger block", holding("h3", "10.0.0.0/23", record.HoldUsed), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(self, tt.rival)
			err := contested(s, self)
			if (err != nil) != tt.lost || (tt.lost && !strings.Contains(err.Error(), "belongs to host "+tt.rival.Name)) {
				t.Errorf("contested returned %v, want an error: %v", err, tt.lost)
			}
			overlap := Within(tt.rival.Block4, netip.MustParsePrefix("10.0.0.0/16")) && tt.rival.Block4.Overlaps(self.Block4)
			if other := contested(s, tt.rival); overlap && (other != nil) == tt.lost {
				t.Errorf("the two hosts do not agree on who lost the block: %v, %v", err, other)
			}
		})
	}
}

func TestMajority(t *testing.T) {
	for _, tt := range []struct {
		answering, known int
		want             bool
	}{{0, 0, true}, {0, 1, false}, {1, 1, true}, {1, 2, true}, {0, 2, false}, {1, 3, false}, {2, 3, true}, {2, 4, true}, {1, 4, false}} {
		if got := majority(tt.answering, tt.known); got != tt.want {
			t.Errorf("majority with %d of %d other hosts answering = %v", tt.answering, tt.known, got)
		}
	}
}
