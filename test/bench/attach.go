package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"tombolo/test/bench/load"
)

const attachPairs = 40

// netBridge and netBridge6 are bridges made by `docker network create`. In each of their containers,
// but not in those of Docker's network bridge, Docker sets up its own resolver (a child process and
// eleven runs of iptables). It does the same on the overlay, unless its options prevent that. On
// netBridge6 it also enables IPv6 (two more child processes).
const (
	netBridge  = "bench-bridge"
	netBridge6 = "bench-bridge6"
)

// attachment is one way to run a container.
type attachment struct {
	name  string
	flags []string  // for docker run
	whole []float64 // milliseconds of the whole run, one for each round
}

// Indexes of the attachments that the goal compares.
const (
	attachNone = iota
	attachTombolo
	attachBridge
)

func attachments() []*attachment {
	only := func(network string) []string { return []string{"--network", network} }
	return []*attachment{
		attachNone:    {name: "none", flags: only("none")},
		attachTombolo: {name: "tombolo, as the framework launches", flags: networkFlags(netTombolo, "attach")},
		attachBridge:  {name: "bridge", flags: only("bridge")},
		{name: "tombolo, plain docker run", flags: only(netTombolo)},
		{name: "user-defined bridge", flags: only(netBridge)},
		{name: "user-defined bridge, IPv6", flags: only(netBridge6)},
		{name: "swarm", flags: only(netSwarm)},
	}
}

// benchAttach measures the time of `docker run --rm` with a program that does nothing. Each round
// measures each attachment once.
func benchAttach(ctx context.Context, b *bed, out io.Writer) ([]goal, error) {
	host := b.engines[0]
	if _, err := host.docker(ctx, "network", "create", netBridge); err != nil {
		return nil, err
	}
	if _, err := host.docker(ctx, "network", "create", "--ipv6", "--subnet", "fd00:77::/64", netBridge6); err != nil {
		return nil, err
	}
	ways := attachments()
	for round := -1; round < attachPairs; round++ { // the first round is a warm-up
		for i := range ways {
			w := ways[(round+1+i)%len(ways)]
			ms, err := host.timeRun(ctx, w.flags)
			if err != nil {
				return nil, fmt.Errorf("attach to %s: %w", w.name, err)
			}
			if round >= 0 {
				w.whole = append(w.whole, ms)
			}
		}
	}
	printAttach(out, ways)
	none := ways[attachNone]
	got, _, _ := load.RatioOfMedians(ways[attachTombolo].cost(none), ways[attachBridge].cost(none))
	return []goal{{figure: "attach, x bridge", got: got, bound: 1.5}}, nil
}

// cost returns how much longer each run took than the one without a network in the same round.
func (a *attachment) cost(none *attachment) []float64 {
	cost := make([]float64, len(a.whole))
	for i, ms := range a.whole {
		cost[i] = ms - none.whole[i]
	}
	return cost
}

// timeRun returns the time of a run in milliseconds.
func (e engine) timeRun(ctx context.Context, flags []string) (float64, error) {
	argv := append([]string{"run", "--rm"}, flags...)
	began := time.Now()
	_, err := e.docker(ctx, append(argv, image, "true")...)
	return float64(time.Since(began)) / float64(time.Millisecond), err
}
