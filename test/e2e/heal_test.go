package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// goesOnWithin is the longest pause of a TCP connection while the linker puts the kernel right, at
// most 2 s. TCP sends again after as long as the pause lasted.
const goesOnWithin = 4 * time.Second

// What other programs do to routes, neighbours, addresses, devices and sysctls of a host breaks no
// connection of its containers, and the linker counts what it puts right.
func TestDamageToTheKernelHeals(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	holder := start(t, 1, spec{app: "shop", service: "holder", args: []string{"hold", "db:5432"}})
	within(t, func(context.Context) error { return exchanges(t, holder) })
	h := testLab.Hosts[1]
	for command, kind := range map[string]string{
		"sysctl -qw net.ipv4.ip_forward=0":            "sysctl",
		"ip route flush proto 84":                     "route",
		"ip neigh flush dev tombolo0 nud all":         "neighbour",
		"ip addr flush dev tombolo0":                  "address",
		"ip link set tombolo0 down":                   "device",
		"ip link del tombolo0":                        "device",
		"tc qdisc del dev tombolo0 clsact":            "filter",
		"sysctl -qw net.ipv6.conf.all.disable_ipv6=1": "address",
	} {
		counted := func() uint64 { return status(t, h).Counters["overlay.repaired_"+kind] }
		before := counted()
		inHost(t, h, "sh", "-c", command)
		began := time.Now()
		within(t, func(context.Context) error {
			if counted() == before {
				return fmt.Errorf("after %q no repair of the kind %s was counted", command, kind)
			}
			return nil
		})
		if err := exchanges(t, holder); err != nil {
			t.Errorf("after %q the held connection carries nothing: %v", command, err)
		}
		took := time.Since(began).Round(time.Millisecond)
		if took > goesOnWithin {
			t.Errorf("after %q the held connection went on after %v, want at most %v", command, took, goesOnWithin)
		}
		t.Logf("after %q the held connection went on after %v", command, took)
	}
	if err := holder.running(t.Context()); err != nil {
		t.Errorf("the connection broke: %v: %s", err, holder.logs(t))
	}
}
