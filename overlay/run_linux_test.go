package overlay

import (
	"context"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
)

// Run restores what another tool flushes. The test is not parallel because it checks that no
// goroutine stays.
func TestRunRepairsAtOnce(t *testing.T) {
	h := newLab(t, 1).hosts[0]
	h.set()
	runIn(t, h.ns, "iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER")
	leak := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.overlay.Run(ctx) }()
	for _, damage := range []string{"nft flush ruleset; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER", "nft flush chain inet tombolo source", "iptables -F DOCKER-USER"} {
		for range 2 {
			runIn(t, h.ns, damage)
			waitFor(t, "Run repaired the damage of "+damage, func() bool { return whole(t, h.ns) })
		}
	}
	cancel()
	must(t, <-ended)
	goleak.VerifyNone(t, leak)
}

// The caller learns of a failed repair, and of the next successful one.
func TestRepairsAreReported(t *testing.T) {
	t.Parallel()
	h := newLab(t, 2).hosts[0]
	h.set()
	var reported []error
	h.overlay.repaired = func(err error) { reported = append(reported, err) }
	h.overlay.repair(t.Context(), false) // nothing has changed, so nothing is reported
	runIn(t, h.ns, "ip route del 100.64.2.0/24; ip route add 100.64.2.0/24 dev eth0")
	h.overlay.repair(t.Context(), true)
	runIn(t, h.ns, "ip route del 100.64.2.0/24")
	h.overlay.repair(t.Context(), true)
	if len(reported) != 2 || reported[0] == nil || !strings.Contains(reported[0].Error(), "100.64.2.0/24") || reported[1] != nil {
		t.Errorf("reported %v, want an error about 100.64.2.0/24, then nil", reported)
	}
}

// whole reports whether our table and our rules in DOCKER-USER exist.
func whole(t *testing.T, ns netns.NsHandle) bool {
	t.Helper()
	table := string(runIn(t, ns, "nft list ruleset"))
	return strings.Contains(table, "goto source_container") && strings.Contains(string(runIn(t, ns, "iptables -S DOCKER-USER")), Device)
}
