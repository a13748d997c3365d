package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"tombolo/internal/wake"
	"tombolo/test/bench/load"
)

const (
	throughputRounds = 20
	throughputSlice  = "500ms"
	tcpPort          = ":5201"
	settleTries      = 100
	settleEvery      = 100 * time.Millisecond
)

// path is a way from a container on the first host to one on the second. Both ends are always
// containers, so that the cost of Docker's sandbox is the same on all paths.
type path struct {
	name    string
	network string // for docker run
	client  func(ctx context.Context, args ...string) *exec.Cmd
	server  string // address and port of the far end

	rate  []float64 // Gbit/s
	trips []float64 // round trips per second
	p50   []float64 // microseconds
	p99   []float64
}

// benchThroughput measures each path once in each round.
func benchThroughput(ctx context.Context, b *bed, out io.Writer) ([]goal, error) {
	paths := []*path{
		{name: "underlay", network: "host"}, {name: "hand-made VXLAN", network: "none"},
		{name: "tombolo", network: netTombolo}, {name: "swarm", network: netSwarm},
	}
	for _, p := range paths {
		if err := b.makePath(ctx, p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		defer b.removePath(ctx, p)
	}
	for round := range throughputRounds {
		for i := range paths {
			p := paths[(round+i)%len(paths)]
			if err := p.sample(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	printThroughput(out, paths)
	made, ours := paths[1], paths[2]
	return []goal{{
		figure: "TCP stream between hosts, x hand-made VXLAN", got: ratio(ours.rate, made.rate).Median, bound: 0.95, atLeast: true,
	}}, nil
}

func (p *path) ends() [2]string {
	return [2]string{"tcp-client-" + p.network, "tcp-server-" + p.network}
}

// makePath starts the containers at both ends and waits until the first reaches the second.
func (b *bed) makePath(ctx context.Context, p *path) error {
	client, server := b.engines[0], b.engines[1]
	ends := p.ends()
	if err := client.run(ctx, p.network, ends[0], "stamp"); err != nil {
		return err
	}
	if err := server.run(ctx, p.network, ends[1], "serve-tcp", tcpPort); err != nil {
		return err
	}
	p.client = func(ctx context.Context, args ...string) *exec.Cmd {
		return client.command(ctx, append([]string{"exec", ends[0], "/bench"}, args...)...)
	}
	addr, err := b.address(ctx, p)
	if err != nil {
		return err
	}
	p.server = addr + tcpPort
	return settle(ctx, func() error {
		_, err := output(p.client(ctx, "trips", p.server, "10ms"))
		return err
	})
}

// removePath removes the containers. If that fails, the lab's removal removes them.
func (b *bed) removePath(ctx context.Context, p *path) {
	for i, name := range p.ends() {
		_ = b.engines[i].remove(context.WithoutCancel(ctx), name)
	}
}

// address returns the address of the second container.
func (b *bed) address(ctx context.Context, p *path) (string, error) {
	switch p.network {
	case "host":
		return b.engines[1].host.Underlay.String(), nil
	case "none":
		return "10.77.2.2", b.makeVXLAN(ctx, p.ends())
	}
	return b.engines[1].address(ctx, p.network, p.ends()[1])
}

// settle calls try until it succeeds, at most settleTries times, and returns its last error.
func settle(ctx context.Context, try func() error) (err error) {
	for range settleTries {
		if err = try(); err == nil || !wake.Sleep(ctx, settleEvery) {
			break
		}
	}
	return err
}

func (p *path) sample(ctx context.Context) error {
	var rate float64
	if err := p.measure(ctx, "stream", &rate); err != nil {
		return err
	}
	var t load.Trips
	if err := p.measure(ctx, "trips", &t); err != nil {
		return err
	}
	p.rate = append(p.rate, rate*8/1e9)
	p.trips = append(p.trips, t.Rate)
	p.p50 = append(p.p50, float64(t.P50)/float64(time.Microsecond))
	p.p99 = append(p.p99, float64(t.P99)/float64(time.Microsecond))
	return nil
}

func (p *path) measure(ctx context.Context, tool string, into any) error {
	text, err := output(p.client(ctx, tool, p.server, throughputSlice))
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}
