package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

const attachPairs = 40

// attachNetworks are compared with none, which comes first.
var attachNetworks = []string{"none", netTombolo, "bridge", netSwarm}

// benchAttach times `docker run --rm` of a program that does nothing, on each
// network in turn.
func benchAttach(ctx context.Context, b *bed, out io.Writer) error {
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
