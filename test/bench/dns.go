package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"time"

	"tombolo/test/bench/load"
)

const (
	dnsRounds  = 15
	dnsSlice   = "700ms"
	dnsSockets = 4
	dnsWindow  = 16
	dnsService = "dns-db" // with a container on each host
	dnsName    = dnsService + ".bench.tombolo.internal"
	dnsAsker   = "dns-asker"
)

// dnsGateway is the address that containers send their queries to. All compared servers listen there,
// so that all packets take the same way, through the asker's interface and the host's rules.
var dnsGateway = netip.MustParseAddr("169.254.1.1")

// dnsServer is one of the compared servers. Each is a process of its own on the first host.
type dnsServer struct {
	name      string
	addr      netip.AddrPort
	addresses int // expected number in an answer
	pid       int

	cpu  []float64 // microseconds per answer, one sample for each round
	rate []float64 // answers per second
	p50  []float64 // microseconds
	p99  []float64
	lost int
}

// asked is the result of the tool ask.
type asked struct {
	Addresses     int // in the first answer
	Answers, Lost int
	Rate          float64 // answers per second
	P50, P99      float64 // microseconds
}

// benchDNS lets a container of the first host ask each server in each round. Our server is the
// host's linker as it is: it finds the asker's view, and its other work counts too.
func benchDNS(ctx context.Context, b *bed, out io.Writer) ([]goal, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	host := b.engines[0]
	if err := host.run(ctx, netTombolo, dnsAsker, "stamp"); err != nil {
		return nil, err
	}
	defer func() { _ = host.remove(context.WithoutCancel(ctx), dnsAsker) }() // if this fails, the lab's removal removes it
	var replies []netip.Addr
	for _, e := range b.engines {
		if err := e.run(ctx, netTombolo, dnsService, "stamp"); err != nil {
			return nil, err
		}
		defer func() { _ = e.remove(context.WithoutCancel(ctx), dnsService) }()
		addr, err := e.address(ctx, netTombolo, dnsService)
		if err != nil {
			return nil, err
		}
		replies = append(replies, netip.MustParseAddr(addr))
	}
	servers, version, err := startDNSServers(ctx, host, replies)
	if err != nil {
		return nil, err
	}
	for round := range dnsRounds {
		for i := range servers {
			s := servers[(round+i)%len(servers)]
			if err := s.sample(ctx, host); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	printDNS(out, version, servers)
	return nil, nil
}

func (s *dnsServer) sample(ctx context.Context, from engine) error {
	before, err := load.CPUTime(s.pid)
	if err != nil {
		return err
	}
	r, err := s.ask(ctx, from, dnsSlice)
	if err != nil {
		return err
	}
	after, err := load.CPUTime(s.pid)
	if err != nil {
		return err
	}
	s.cpu = append(s.cpu, float64(after-before)/float64(time.Microsecond)/float64(r.Answers))
	s.rate = append(s.rate, r.Rate)
	s.p50 = append(s.p50, r.P50)
	s.p99 = append(s.p99, r.P99)
	s.lost += r.Lost
	return nil
}

func (s *dnsServer) ask(ctx context.Context, from engine, span string) (r asked, err error) {
	text, err := output(from.command(ctx, "exec", dnsAsker, "/bench", "ask", s.addr.String(), dnsName, span))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(text), &r)
}

// await asks until the server answers with all addresses.
func (s *dnsServer) await(ctx context.Context, from engine) error {
	err := settle(ctx, func() error {
		r, err := s.ask(ctx, from, "100ms")
		if err == nil && r.Addresses != s.addresses {
			err = fmt.Errorf("it answers with %d addresses, not %d", r.Addresses, s.addresses)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", s.name, err)
	}
	return nil
}

// inHostNetwork returns a command that runs on this machine, but in the network of a host. So its
// process number is valid here.
func (e engine) inHostNetwork(ctx context.Context, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"-t", fmt.Sprint(e.host.Init.PID), "-n", "--"}, argv...)...)
}
