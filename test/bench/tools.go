package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/miekg/dns"

	"tombolo/test/bench/load"
)

// tools are the commands of this program that the bench runs in containers or as servers, for
// example `bench serve-tcp :5201`.
var tools = map[string]func(ctx context.Context, args []string) error{
	"serve-echo": serveEcho,
	"serve-tcp":  serveTCP,
	"stream":     measurement(load.Stream),
	"trips":      measurement(load.RoundTrips),
	"connect":    measurement(load.Connections),
	"ask":        ask,
	"observe":    observe,
	"lookup":     lookup,
	"stamp":      stamp,
	"true":       func(context.Context, []string) error { return nil },
}

func serveTCP(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("serve-tcp takes one argument, an address")
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	return load.ServeTCP(ctx, l)
}

// measurement makes a tool of a function that measures for a time and returns its result. The
// arguments of the tool are an address and a duration, and it prints the result as JSON.
func measurement[T any](measure func(ctx context.Context, addr string, d time.Duration) (T, error)) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if len(args) != 2 {
			return errors.New("two arguments are needed: an address and a duration")
		}
		d, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		result, err := measure(ctx, args[0], d)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}
}

// ask asks a DNS server for a name again and again. Its arguments are the server's address, the name
// and a duration.
func ask(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("three arguments are needed: a server, a name and a duration")
	}
	server, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	span, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	question := new(dns.Msg).SetQuestion(dns.Fqdn(args[1]), dns.TypeA)
	first, err := dns.ExchangeContext(ctx, question, args[0])
	if err != nil {
		return err
	}
	query, err := question.Pack()
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := load.UDPLoad{Server: server, Query: query, Sockets: dnsSockets, Outstanding: dnsWindow}.Run(ctx, span)
	if err != nil {
		return err
	}
	micro := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	return json.NewEncoder(os.Stdout).Encode(asked{
		Addresses: len(first.Answer), Answers: r.Answers, Lost: r.Lost, Rate: float64(r.Answers) / time.Since(began).Seconds(),
		P50: micro(load.Quantile(r.Latency, 0.5)), P99: micro(load.Quantile(r.Latency, 0.99)),
	})
}

// lookup prints the one IPv4 address of a name.
func lookup(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("lookup takes one argument, a name")
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", args[0])
	if err == nil && len(addrs) != 1 {
		err = fmt.Errorf("%s has the addresses %v, want one", args[0], addrs)
	}
	if err == nil {
		fmt.Println(addrs[0].Unmap())
	}
	return err
}

// observeWait is how long observe waits for a name.
const observeWait = 20 * time.Second

// observe reads names and prints when each of them resolved, in nanoseconds since 1970. It prints 0
// for a name that did not resolve in time.
func observe(ctx context.Context, _ []string) error {
	server, err := load.SystemResolver()
	if err != nil {
		return err
	}
	for names := bufio.NewScanner(os.Stdin); names.Scan(); {
		wait, cancel := context.WithTimeout(ctx, observeWait)
		at, err := load.Watch(wait, server, names.Text())
		cancel()
		if err != nil {
			at = time.Unix(0, 0)
		}
		fmt.Println(at.UnixNano())
	}
	return nil
}

// stamp prints the time of its start in nanoseconds since 1970 and waits to be killed.
func stamp(ctx context.Context, _ []string) error { //nolint:unparam // the signature of all tools
	fmt.Println(time.Now().UnixNano())
	<-ctx.Done()
	return nil
}
