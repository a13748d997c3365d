package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// A 99th percentile needs many samples. A slow machine takes fewer in the time.
const (
	resolveRounds = 200
	resolveSpan   = 6 * time.Minute
)

// resolved has the samples of a network in milliseconds, see resolution.
type resolved struct{ fromRun, fromStart []float64 }

// resolution is the time in milliseconds until the last observer had its first answer.
type resolution struct {
	fromRun   float64 // since `docker run` was called
	fromStart float64 // since the container's first instruction; negative if the name resolved before
}

// observer is a container on another host that reports when a name resolves.
type observer struct {
	engine engine
	name   string
	stdin  io.WriteCloser
	lines  *bufio.Scanner
}

// benchResolve starts containers on the first host, on each network in turn, and measures when
// containers on the other hosts can resolve their names.
func benchResolve(ctx context.Context, b *bed, out io.Writer) ([]goal, error) {
	networks := []string{netTombolo, netSwarm}
	observers := make(map[string][]*observer)
	took := make(map[string]*resolved)
	for _, network := range networks {
		took[network] = new(resolved)
		for i, e := range b.engines[1:] {
			o, err := startObserver(ctx, e, network, fmt.Sprintf("observer-%d-%s", i, network))
			if err != nil {
				return nil, err
			}
			defer o.close(ctx)
			observers[network] = append(observers[network], o)
		}
	}
	began := time.Now()
	for round := -1; round < resolveRounds && time.Since(began) < resolveSpan; round++ { // the first round is a warm-up
		for i := range networks {
			network := networks[(round+1+i)%len(networks)]
			r, err := b.timeResolve(ctx, fmt.Sprintf("s%d-%s", round+1, network), network, observers[network])
			if err != nil {
				return nil, fmt.Errorf("resolve on %s: %w", network, err)
			}
			if round >= 0 {
				took[network].fromRun = append(took[network].fromRun, r.fromRun)
				took[network].fromStart = append(took[network].fromStart, r.fromStart)
			}
		}
	}
	printResolve(out, networks, took)
	return []goal{{figure: "container started -> resolvable on the other hosts, p99", unit: " ms", got: p99(took[netTombolo].fromStart), bound: 150}}, nil
}

func startObserver(ctx context.Context, e engine, network, name string) (*observer, error) {
	if err := e.run(ctx, network, name, "stamp"); err != nil {
		return nil, err
	}
	cmd := e.command(ctx, "exec", "-i", name, "/bench", "observe")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &observer{engine: e, name: name, stdin: stdin, lines: bufio.NewScanner(stdout)}, cmd.Start()
}

func (o *observer) close(ctx context.Context) {
	_ = o.stdin.Close()
	_ = o.engine.remove(context.WithoutCancel(ctx), o.name) // if this fails, the lab's removal removes it
}

// timeResolve starts a container and takes one sample.
func (b *bed) timeResolve(ctx context.Context, name, network string, observers []*observer) (r resolution, err error) {
	for _, o := range observers {
		if _, err := fmt.Fprintln(o.stdin, name); err != nil {
			return r, err
		}
	}
	called := time.Now().UnixNano()
	if err := b.engines[0].run(ctx, network, name, "stamp"); err != nil {
		return r, err
	}
	var last int64
	for _, o := range observers {
		at, err := o.next()
		if err != nil {
			return r, err
		}
		if at == 0 {
			return r, fmt.Errorf("%s does not resolve %s in %s", o.name, name, observeWait)
		}
		last = max(last, at)
	}
	began, err := b.engines[0].firstInstruction(ctx, name)
	if err != nil {
		return r, err
	}
	r.fromRun = float64(last-called) / float64(time.Millisecond)
	r.fromStart = float64(last-began) / float64(time.Millisecond)
	return r, b.engines[0].remove(ctx, name)
}

// firstInstruction returns the time that the tool stamp prints when it starts. It waits for that,
// because the name may resolve before.
func (e engine) firstInstruction(ctx context.Context, name string) (at int64, err error) {
	err = settle(ctx, func() error {
		text, err := e.docker(ctx, "logs", name)
		if err == nil && text == "" {
			err = fmt.Errorf("%s has not started", name)
		}
		if err == nil {
			at, err = strconv.ParseInt(text, 10, 64)
		}
		return err
	})
	return at, err
}

func (o *observer) next() (int64, error) {
	if !o.lines.Scan() {
		return 0, errors.Join(fmt.Errorf("%s ended", o.name), o.lines.Err())
	}
	return strconv.ParseInt(o.lines.Text(), 10, 64)
}
