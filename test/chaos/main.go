// Command chaos breaks a lab again and again while traffic flows (`make chaos`). Each of three hosts
// has a server and a client. Every client keeps TCP connections and flows of datagrams to every
// server, and to the address of the servers' service. Each round makes a random fault (faults.go) on
// a random host, and checks that every flow goes on in time and that no established connection is
// lost where the path itself was up. At the end it prints the time to heal by kind of fault; its
// exit code is 0 only if nothing was lost and nothing took too long.
//
// The seed is printed first. The same seed gives the same faults on the same hosts. A step of the
// clock is no fault here, because the hosts of a lab have one clock.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"tombolo/cmd/lab"
)

// hosts is the number of hosts of the lab.
const hosts = 3

func main() {
	binary := flag.String("binary", "bin/tombolo", "the tombolo binary")
	rounds := flag.Int("rounds", 50, "the number of faults")
	seed := flag.Uint64("seed", 0, "repeats the faults of an earlier run; 0: others")
	only := flag.String("only", "", "makes this fault in every round")
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000) + 1
	}
	fmt.Printf("seed %d (repeat this run with: make chaos SEED=%d)\n", *seed, *seed)
	plan, err := newPlan(*seed, *rounds, *only)
	if err == nil {
		err = runUntilSignal(*binary, plan)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func runUntilSignal(binary string, plan []round) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, binary, plan)
}

// round is one fault on one host.
type round struct {
	fault fault
	host  int
}

// newPlan draws the rounds. Every fault has its turn before one has a second.
func newPlan(seed uint64, rounds int, only string) ([]round, error) {
	random := rand.New(rand.NewPCG(seed, 0))
	var deck, plan []round
	for len(plan) < rounds {
		if len(deck) == 0 {
			for _, f := range faults {
				if only == "" || f.name == only {
					deck = append(deck, round{fault: f})
				}
			}
			random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		if len(deck) == 0 {
			return nil, fmt.Errorf("no fault has the name %q", only)
		}
		next := deck[0]
		next.host = random.IntN(hosts)
		plan, deck = append(plan, next), deck[1:]
	}
	return plan, nil
}

func run(ctx context.Context, binary string, plan []round) (err error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	if err := lab.Clear(); err != nil { // it fails if a lab is up that is not ours
		return err
	}
	dir, err := os.MkdirTemp("", "tombolo-chaos")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Down(""), os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	began := time.Now()
	l, err := lab.Up(ctx, lab.Config{Hosts: hosts, Binary: path, Owner: os.Getpid(), NoControl: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	b := bed{lab: l, dir: dir}
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.await(ctx, time.Now(), nil, steadyWithin); err != nil {
		return fmt.Errorf("before the first fault: %w", err)
	}
	fmt.Printf("%d hosts and their traffic are up after %v\n", hosts, time.Since(began).Round(time.Second))
	return b.play(ctx, plan)
}
