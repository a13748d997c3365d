package main

import (
	"context"
	"fmt"
	"net/netip"

	"tombolo/dns"
	"tombolo/linker/record"
	"tombolo/test/bench/load"
)

// oneView shows everybody the same.
type oneView struct{ view *record.View }

func (o oneView) View(netip.Addr) (*record.View, bool) { return o.view, true }

// serveDNS is our server with one name, printing its address first.
func serveDNS(ctx context.Context) error {
	socks, err := dns.Listen(ctx, load.Loopback)
	if err != nil {
		return err
	}
	var targets []record.Target
	for i := range dnsReplies {
		targets = append(targets, record.Target{Name: fmt.Sprintf("%d.db.shop", i+1), Addr4: netip.AddrFrom4([4]byte{100, 64, 1, byte(i + 2)})})
	}
	view := &record.View{Names: map[string]record.Answers{"db.shop": {Targets: targets}}}
	s := dns.New(dns.Config{
		Sockets: []*dns.Sockets{socks}, Zone: dns.Zone{Name: "tombolo.internal"},
		Viewer: oneView{view}, Upstream: dns.NewForwarder(dns.ForwarderConfig{}),
	})
	fmt.Println(socks.Addr())
	return s.Run(ctx)
}

// serveEcho is the bare echo on as many sockets as our server has.
func serveEcho(ctx context.Context) error {
	socks, err := dns.Listen(ctx, load.Loopback)
	if err != nil {
		return err
	}
	fmt.Println(socks.Addr())
	_ = socks.TCP.Close()
	return load.Echo(ctx, socks.UDP)
}
