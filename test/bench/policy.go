package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
	"tombolo/test/bench/load"
)

// policyMembers are the numbers of containers of one network that the host has; as many are on
// another host. All of them may reach each of the host's, by IPv4 and IPv6.
var policyMembers = []int{0, 5, 50, 250}

const policyRounds = 30

// policyCost has the samples of a size, in milliseconds.
type policyCost struct {
	pairs  int       // of addresses
	first  []float64 // the first Set of a linker
	reach  []float64 // the relation and its groups after a change of the catalog
	kernel []float64 // Set with one container more; docker run can wait for this one
}

// benchPolicy measures what one container more costs, with more and more pairs of containers that
// reach each other. It needs a network namespace and no lab.
func benchPolicy(ctx context.Context, _ *bed, out io.Writer) ([]goal, error) {
	runtime.LockOSThread() // the namespace belongs to this thread
	defer runtime.UnlockOSThread()
	back, err := netns.Get()
	if err != nil {
		return nil, err
	}
	defer back.Close()
	costs := make([]*policyCost, 0, len(policyMembers))
	for _, members := range policyMembers {
		c, err := measurePolicy(ctx, members)
		if err := netns.Set(back); err != nil {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%d members: %w", members, err)
		}
		costs = append(costs, c)
	}
	printPolicy(out, costs)
	largest := costs[len(costs)-1]
	return []goal{{figure: fmt.Sprintf("policy for one container more, %d pairs", largest.pairs), unit: " ms", got: load.SpreadOf(largest.kernel).Median, bound: 10}}, nil
}

// measurePolicy enters a new network namespace and leaves it to the caller to go back.
func measurePolicy(ctx context.Context, members int) (*policyCost, error) {
	ns, err := netns.New()
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	config, err := policyHost()
	if err != nil {
		return nil, err
	}
	o := overlay.New(overlay.Options{Log: slog.New(slog.DiscardHandler), Namespace: ns})
	cost := &policyCost{pairs: 2 * (2 * members) * members} // families, senders, receivers
	for round := range policyRounds {
		fewer, more := crowd(members), crowd(members+1)
		config.Groups = groupsOf(fewer)
		if err := timed(&cost.first, round == 0, func() error { return o.Set(ctx, config) }); err != nil {
			return nil, err
		}
		if err := timed(&cost.reach, true, func() error { config.Groups = groupsOf(more); return nil }); err != nil {
			return nil, err
		}
		if err := timed(&cost.kernel, true, func() error { return o.Set(ctx, config) }); err != nil {
			return nil, err
		}
	}
	return cost, nil
}

// timed calls f and notes how long it took, if it counts.
func timed(samples *[]float64, counts bool, f func() error) error {
	began := time.Now()
	err := f()
	if counts {
		*samples = append(*samples, float64(time.Since(began))/float64(time.Millisecond))
	}
	return err
}

// policyHost gives this namespace an underlay and returns the Config of a host on it. Its block is
// a /16, so that it has room for the containers.
func policyHost() (overlay.Config, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "eth0"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "wire"}); err != nil {
		return overlay.Config{}, err
	}
	underlay := netip.MustParseAddr("198.18.0.11")
	eth0, err := netlink.LinkByName("eth0")
	if err != nil {
		return overlay.Config{}, err
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: underlay.AsSlice(), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(eth0, addr); err != nil {
		return overlay.Config{}, err
	}
	for _, name := range []string{"lo", "wire", "eth0"} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			return overlay.Config{}, err
		}
	}
	overlay4 := netip.MustParseAddr("100.64.0.1")
	return overlay.Config{
		Self: overlay.Peer{
			Name: "h0", Underlay: underlay, Block4: netip.PrefixFrom(overlay4, 16).Masked(), Overlay4: overlay4,
			Block6: netip.MustParsePrefix("fd42:1:2::/80"), Overlay6: netip.MustParseAddr("fd42:1:2::1"), MAC: overlay.HardwareAddr(overlay4),
		},
		Pool4: netip.MustParsePrefix("100.64.0.0/10"), Pool6: netip.MustParsePrefix("fd42:1:2::/48"),
		VNI: overlay.DefaultVNI, Port: overlay.DefaultPort,
	}, nil
}

// crowd returns a catalog with one network, that has members on the host h0 and as many on h1.
func crowd(members int) *record.Snapshot {
	s := &record.Snapshot{
		Index: 1, Hosts: map[string]*record.Host{}, Endpoints: map[string]*record.Endpoint{},
		Apps: map[string]*record.App{"shop": {Name: "shop", Services: map[string]record.Service{
			"web": {Networks: map[string][]string{"shop_default": nil}, Replicas: 2 * members},
		}}}, Suspended: map[string]bool{},
	}
	for n := range 2 * members {
		host, i := n%2, n/2
		id := fmt.Sprint("e", n)
		s.Endpoints[id] = &record.Endpoint{
			ID: id, Host: fmt.Sprint("h", host), Container: fmt.Sprintf("%064x", n), App: "shop", Service: "web", Slot: n + 1, Generation: 1,
			Addr4:   netip.AddrFrom4([4]byte{100, 64 + byte(host), byte(i / 200), byte(i%200 + 2)}),
			Addr6:   netip.MustParseAddr(fmt.Sprintf("fd42:1:2:0:%x::%x", host, i+2)),
			Running: true, Health: record.HealthNone, Networks: map[string][]string{"shop_default": nil},
		}
	}
	return s
}

// groupsOf returns what the containers of h0 may receive, as the linker compiles it.
func groupsOf(s *record.Snapshot) []overlay.Group {
	var out []overlay.Group
	for _, g := range reach.Of(s).Groups("h0") {
		out = append(out, overlay.Group{Name: g.Reason, From: addresses(g.From), To: addresses(g.To)})
	}
	return out
}

func addresses(all []*record.Endpoint) []netip.Addr {
	out := make([]netip.Addr, 0, 2*len(all))
	for _, e := range all {
		out = append(out, e.Addr4, e.Addr6)
	}
	return out
}

func printPolicy(out io.Writer, costs []*policyCost) {
	title := fmt.Sprintf("Policy of a network with as many members here as on other hosts, IPv4 and IPv6 (%d rounds; median [quartiles])", policyRounds)
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "PAIRS OF ADDRESSES\tFIRST SET\tONE MORE: RELATION\tONE MORE: KERNEL")
		for _, c := range costs {
			fmt.Fprintf(w, "%d\t%.4g ms\t%s\t%s\n", c.pairs, c.first[0], figure(c.reach, "ms"), figure(c.kernel, "ms"))
		}
	})
}
