package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tombolo/linker/problem"
)

// Another program takes a part of the pool while containers use it: a VPN with a routing table and
// a firewall rule of its own, as Tailscale has them, or a name server. The linker, up and doctor
// name what it is.
func TestLaterConflictsOfThePoolAreNamed(t *testing.T) {
	h := testLab.Hosts[0]
	file := compose(t, "pooled", `
  web: {image: %IMAGE%, command: [serve, "80"], deploy: {replicas: 3}}
`)
	up(t, file)
	for _, conflict := range []struct {
		name, arise, end string
		kind             problem.Kind
		reason           string
		ready            bool
	}{
		{
			"a route in a table of its own",
			"ip link add vpn0 type bridge && ip link set vpn0 up && ip route add 100.100.0.0/16 dev vpn0 table 52 && ip rule add pref 5270 lookup 52",
			"ip rule del pref 5270; ip link del vpn0",
			problem.PoolRoutedElsewhere, "100.64.0.0/10 overlaps 100.100.0.0/16 on vpn0 (table 52)", false,
		},
		{
			"a rule before which the linker can put its own",
			"iptables -N ts-input && iptables -A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP && iptables -A INPUT -j ts-input",
			"iptables -D INPUT -j ts-input; iptables -F ts-input; iptables -X ts-input",
			problem.PoolDropped, "ip saddr 100.64.0.0/10 drop", true,
		},
		{
			"a rule that comes before the overlay's policy",
			"nft 'table ip vpn { chain early { type filter hook prerouting priority -350; ip saddr 100.64.0.0/10 counter drop; }; }'",
			"nft delete table ip vpn",
			problem.PoolDropping, "ip saddr 100.64.0.0/10 drop", false,
		},
		{
			"a name server in the pool",
			"echo nameserver 100.100.2.136 > /run/resolv.test && mount --bind /run/resolv.test $(readlink -f /etc/resolv.conf)",
			"umount $(readlink -f /etc/resolv.conf)",
			problem.PoolHasResolver, "the name server 100.100.2.136 of this host has an address of the pool 100.64.0.0/10", false,
		},
	} {
		t.Run(conflict.name, func(t *testing.T) {
			waitReady(t, h)
			t.Cleanup(func() { inHost(t, h, "sh", "-c", conflict.end) })
			inHost(t, h, "sh", "-c", conflict.arise)
			if ready := names(t, h, conflict.kind.Name, conflict.reason); ready != conflict.ready {
				t.Errorf("%s is ready: %v, want %v", h.Name, ready, conflict.ready)
			}
			diagnoses(t, h.Name, conflict.kind, conflict.reason)
			if conflict.ready {
				return
			}
			within(t, func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, patience-5*time.Second) // up may wait for the app, which suffers
				defer cancel()
				r, _ := tombolo.Run(ctx, "-f", file, "up")
				text := r.Stdout + r.Stderr
				if !strings.Contains(text, "warning: host h1 is not ready: "+conflict.kind.Name) || !strings.Contains(text, conflict.reason) {
					return fmt.Errorf("up says %q; want a warning that says %s", text, conflict.reason)
				}
				return nil
			})
		})
	}
	waitReady(t, h)
}
