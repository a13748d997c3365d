package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

const attachPairs = 40

// netBridge and netBridge6 are bridges made by `docker network create`. Unlike on
// the one named bridge, Docker sets its own resolver up in each container there
// (a child process and eleven runs of iptables), and enables IPv6 (two child
// processes): what every network driver pays, tombolo's too.
const (
	netBridge  = "bench-bridge"
	netBridge6 = "bench-bridge6"
)

// attachNetworks are compared with none, which comes first.
var attachNetworks = []string{"none", netTombolo, "bridge", netBridge, netBridge6, netSwarm}

// benchAttach times `docker run --rm` of a program that does nothing, on each
// network in turn.
func benchAttach(ctx context.Context, b *bed, out io.Writer) error {
	if _, err := b.engines[0].docker(ctx, "network", "create", netBridge); err != nil {
		return err
	}
	if _, err := b.engines[0].docker(ctx, "network", "create", "--ipv6", "--subnet", "fd00:77::/64", netBridge6); err != nil {
		return err
	}
	took := make(map[string][]float64)
	for round := -1; round < attachPairs; round++ { // one to warm up
		for i := range attachNetworks {
			network := attachNetworks[(round+1+i)%len(attachNetworks)]
			ms, err := b.engines[0].timeRun(ctx, network)
			if err != nil {
				return fmt.Errorf("attach to %s: %w", network, err)
			}
			if round >= 0 {
				took[network] = append(took[network], ms)
			}
		}
	}
	printAttach(out, took)
	return nil
}

// timeRun returns milliseconds.
func (e engine) timeRun(ctx context.Context, network string) (float64, error) {
	began := time.Now()
	_, err := e.docker(ctx, "run", "--rm", "--network", network, image, "true")
	return float64(time.Since(began)) / float64(time.Millisecond), err
}
