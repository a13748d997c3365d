package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"tombolo/test/bench/load"
)

const (
	throughputRounds = 20
	throughputSlice  = "500ms"
	tcpPort          = ":5201"
	settleTries      = 100
	settleEvery      = 100 * time.Millisecond
)

// path is one way from a container on the first host to one on the second. Every
// end is a container, so that what Docker's sandbox costs is the same on all.
type path struct {
	name    string
	network string // Docker's
	client  func(ctx context.Context, args ...string) *exec.Cmd
	server  string // address and port of the far end

	rate  []float64 // Gbit/s
	trips []float64 // round trips per second
	p50   []float64 // microseconds
	p99   []float64
}

// benchThroughput measures each path in turn, round after round.
func benchThroughput(ctx context.Context, b *bed, out io.Writer) ([]goal, error) {
	paths := []*path{
		{name: "underlay", network: "host"}, {name: "hand-made VXLAN", network: "none"},
		{name: "tombolo", network: netTombolo}, {name: "swarm", network: netSwarm},
	}
	for _, p := range paths {
		if err := b.pave(ctx, p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		defer b.tearUp(ctx, p)
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

// pave starts the containers at both ends and waits until they reach each other.
func (b *bed) pave(ctx context.Context, p *path) error {
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
	return p.settle(ctx)
}

// tearUp removes the containers. What stays is gone with the lab.
func (b *bed) tearUp(ctx context.Context, p *path) {
	for i, name := range p.ends() {
		_ = b.engines[i].remove(context.WithoutCancel(ctx), name)
	}
}

// address is the far end's.
func (b *bed) address(ctx context.Context, p *path) (string, error) {
	switch p.network {
	case "host":
		return b.engines[1].host.Underlay.String(), nil
	case "none":
		return "10.77.2.2", b.makeVXLAN(ctx, p.ends())
	}
	return b.engines[1].address(ctx, p.network, p.ends()[1])
}

// settle waits until the far end answers.
func (p *path) settle(ctx context.Context) error {
	var err error
	for range settleTries {
		if _, err = output(p.client(ctx, "trips", p.server, "10ms")); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(settleEvery)
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
