package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"tombolo/test/bench/load"
)

// tools are what this program is when it runs in a container or as a server beside
// itself: `bench serve-tcp :5201`.
var tools = map[string]func(ctx context.Context, args []string) error{
	"serve-dns":  func(ctx context.Context, _ []string) error { return serveDNS(ctx) },
	"serve-echo": func(ctx context.Context, _ []string) error { return serveEcho(ctx) },
	"serve-tcp":  serveTCP,
	"stream":     stream,
	"trips":      trips,
	"observe":    observe,
	"stamp":      stamp,
	"true":       func(context.Context, []string) error { return nil },
}

func serveTCP(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("serve-tcp takes an address")
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	return load.ServeTCP(ctx, l)
}

// target reads the arguments of stream and trips: an address and a duration.
func target(args []string) (string, time.Duration, error) {
	if len(args) != 2 {
		return "", 0, errors.New("an address and a duration are needed")
	}
	d, err := time.ParseDuration(args[1])
	return args[0], d, err
}

func stream(ctx context.Context, args []string) error {
	addr, d, err := target(args)
	if err != nil {
		return err
	}
	rate, err := load.Stream(ctx, addr, d)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(rate)
}

func trips(ctx context.Context, args []string) error {
	addr, d, err := target(args)
	if err != nil {
		return err
	}
	t, err := load.RoundTrips(ctx, addr, d)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(t)
}

// observeWait bounds how long observe looks for one name.
const observeWait = 20 * time.Second

// observe reads names and writes when each of them resolved, in nanoseconds since
// 1970 (0: not in time).
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

// stamp writes when it started, and waits to be killed.
func stamp(ctx context.Context, _ []string) error { //nolint:unparam // as the other tools
	fmt.Println(time.Now().UnixNano())
	<-ctx.Done()
	return nil
}
