package overlay

import (
	"context"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
)

// What another tool flushes comes back by itself. Not parallel: it looks for
// goroutines that stay.
func TestRunMendsAtOnce(t *testing.T) {
	h := newLab(t, 1).hosts[0]
	h.set()
	runIn(t, h.ns, "iptables -N DOCKER-USER")
	leak := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.overlay.Run(ctx) }()
	for _, damage := range []string{"nft flush ruleset; iptables -N DOCKER-USER", "nft flush chain inet tombolo source", "iptables -F DOCKER-USER"} {
		for range 2 {
			runIn(t, h.ns, damage)
			waitFor(t, func() bool { return whole(t, h.ns) })
		}
	}
	cancel()
	must(t, <-ended)
	goleak.VerifyNone(t, leak)
}

// What cannot be mended is told, and that it could be.
func TestMendingIsTold(t *testing.T) {
	t.Parallel()
	h := newLab(t, 2).hosts[0]
	h.set()
	var told []error
	h.overlay.repaired = func(err error) { told = append(told, err) }
	h.overlay.repair(t.Context(), false) // nothing happened
	runIn(t, h.ns, "ip route del 100.64.2.0/24; ip route add 100.64.2.0/24 dev eth0")
	h.overlay.repair(t.Context(), true)
	runIn(t, h.ns, "ip route del 100.64.2.0/24")
	h.overlay.repair(t.Context(), true)
	if len(told) != 2 || told[0] == nil || !strings.Contains(told[0].Error(), "100.64.2.0/24") || told[1] != nil {
		t.Errorf("told %v", told)
	}
}

func whole(t *testing.T, ns netns.NsHandle) bool {
	t.Helper()
	table := string(runIn(t, ns, "nft list ruleset"))
	return strings.Contains(table, "goto source_container") && strings.Contains(string(runIn(t, ns, "iptables -S DOCKER-USER")), Device)
}
