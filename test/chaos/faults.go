package main

import (
	"context"
	"fmt"
	"time"

	"tombolo/cmd/lab"
	"tombolo/internal/wake"
)

// fault is something that goes wrong on one host. To add one, add it to faults.
type fault struct {
	name string
	// strike makes the fault. With mend it lasts for hold; without, Tombolo has to mend it.
	strike func(context.Context, *lab.Lab, lab.Host) error
	mend   func(context.Context, *lab.Lab, lab.Host) error
	hold   time.Duration
	// within is the longest time until every flow goes on, from the strike or, with mend, from then.
	within time.Duration
	// kills says that the containers of the host end: their connections are lost.
	kills bool
}

// healWithin is the longest time for what the linker itself mends.
const healWithin = 2 * time.Second

// The device, routes, rules and ports in the commands are those of package overlay. TCP waits up to
// as long again as the fault lasted until it sends again, so it gets more time than datagrams.
var faults = []fault{
	{name: "nftables flushed", strike: shell("nft flush ruleset"), within: healWithin},
	{name: "our table deleted", strike: shell("nft delete table inet tombolo"), within: healWithin},
	{name: "DOCKER-USER flushed", strike: shell("iptables -F DOCKER-USER 2>/dev/null || true"), within: healWithin},
	{name: "ip_forward=0", strike: shell("sysctl -qw net.ipv4.ip_forward=0"), within: healWithin},
	{name: "IPv6 off everywhere", strike: shell("sysctl -qw net.ipv6.conf.all.disable_ipv6=1"), within: healWithin},
	{name: "forwarding of tombolo0 off", strike: shell("sysctl -qw net.ipv4.conf.tombolo0.forwarding=0"), within: healWithin},
	{name: "routes flushed", strike: shell("ip route flush proto 84; ip -6 route flush proto 84"), within: healWithin},
	{name: "routes of tombolo0 flushed", strike: shell("ip route flush dev tombolo0; ip -6 route flush dev tombolo0"), within: healWithin},
	{name: "neighbours flushed", strike: shell("ip neigh flush dev tombolo0 nud all"), within: healWithin},
	{name: "FDB flushed", strike: shell("for m in $(bridge fdb show dev tombolo0 | cut -d' ' -f1); do bridge fdb del $m dev tombolo0 self; done"), within: healWithin},
	{name: "addresses flushed", strike: shell("ip addr flush dev tombolo0"), within: healWithin},
	{name: "tombolo0 down", strike: shell("ip link set tombolo0 down"), within: healWithin},
	{name: "tombolo0 deleted", strike: shell("ip link del tombolo0"), within: healWithin},
	{name: "containers' interfaces down", strike: shell(eachVeth("ip link set $d down")), within: healWithin},
	{name: "containers' interfaces without filter", strike: shell(eachVeth("tc qdisc del dev $d clsact")), within: healWithin},
	{name: "linker killed", strike: shell("kill -9 $(pgrep -f '[t]ombolo linker' | tail -n 1)"), within: healWithin},
	{name: "linker and supervisor killed", strike: shell("kill -9 $(pgrep -f '[t]ombolo linker')"), within: healWithin},
	{name: "linker killed, routes flushed", strike: shell("kill -9 $(pgrep -f '[t]ombolo linker'); ip route flush proto 84"), within: 10 * time.Second},
	{name: "linker stuck", strike: shell("kill -STOP $(pgrep -f '[t]ombolo linker' | tail -n 1)"), within: healWithin},
	{name: "UDP 8480 blocked", strike: shell(block("udp dport 8480", "prerouting", "output")), mend: shell(unblock), hold: 3 * time.Second, within: 5 * time.Second},
	{name: "UDP 8480 blocked inwards", strike: shell(block("udp dport 8480", "prerouting")), mend: shell(unblock), hold: 3 * time.Second, within: 5 * time.Second},
	{name: "gossip blocked", strike: shell(block("meta l4proto { tcp, udp } th dport 7980", "prerouting", "output")), mend: shell(unblock), hold: 8 * time.Second, within: healWithin},
	{name: "host cut off", strike: cable((*lab.Lab).Partition), mend: cable((*lab.Lab).Heal), hold: 5 * time.Second, within: 10 * time.Second},
	{name: "host killed", strike: cable((*lab.Lab).Kill), mend: startAgain, hold: time.Second, within: 30 * time.Second, kills: true},
}

// eachVeth runs a command for the host's side of each container's pair.
func eachVeth(command string) string {
	return "for d in $(ip -o link show type veth | sed -n 's/^[0-9]*: \\(tb[0-9a-f]\\{12\\}\\)@.*/\\1/p'); do " + command + "; done"
}

// block drops packets at these hooks, in a table that comes before all others.
func block(match string, hooks ...string) string {
	chains := ""
	for _, hook := range hooks {
		chains += fmt.Sprintf("chain %s { type filter hook %s priority -400; %s drop; }; ", hook, hook, match)
	}
	return "nft 'table inet chaos { " + chains + "}'"
}

const unblock = "nft 'delete table inet chaos'"

func shell(script string) func(context.Context, *lab.Lab, lab.Host) error {
	return func(_ context.Context, _ *lab.Lab, h lab.Host) error {
		if out, err := h.Command("sh", "-c", script).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", script, err, out)
		}
		return nil
	}
}

func cable(verb func(*lab.Lab, string) error) func(context.Context, *lab.Lab, lab.Host) error {
	return func(_ context.Context, l *lab.Lab, h lab.Host) error { return verb(l, h.Name) }
}

// startAgain starts a killed host and its containers.
func startAgain(ctx context.Context, l *lab.Lab, h lab.Host) error {
	if err := l.Start(h.Name); err != nil {
		return err
	}
	if err := l.WaitHost(ctx, h.Name); err != nil {
		return err
	}
	for _, role := range roles {
		if err := docker(ctx, h, nil, "start", role); err != nil {
			return err
		}
	}
	return nil
}

// do makes the fault, mends it if Tombolo does not, and returns from when on flows have to go on.
func (f fault) do(ctx context.Context, l *lab.Lab, h lab.Host) (time.Time, error) {
	if err := f.strike(ctx, l, h); err != nil {
		return time.Time{}, fmt.Errorf("strike: %w", err)
	}
	if f.mend == nil {
		return time.Now(), nil
	}
	if !wake.Sleep(ctx, f.hold) {
		return time.Time{}, ctx.Err()
	}
	if err := f.mend(ctx, l, h); err != nil {
		return time.Time{}, fmt.Errorf("mend: %w", err)
	}
	return time.Now(), nil
}
