package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(args) > 0 && tools[args[0]] != nil {
		err = tools[args[0]](ctx, args[1:])
	} else {
		err = benches(ctx, args, os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// parts are the benches in their order. Each prints a table and returns the figures with a goal.
// rest comes first, while the linkers have no traces of the others.
var parts = []struct {
	name string
	run  func(ctx context.Context, b *bed, out io.Writer) ([]goal, error)
}{
	{"rest", benchRest},
	{"dns", benchDNS},
	{"throughput", benchThroughput},
	{"vip", benchVIP},
	{"attach", benchAttach},
	{"policy", benchPolicy},
	{"resolve", benchResolve},
	{"mesos", benchMesos},
	{"framework", benchFramework},
}

// benches runs the parts that the flag only names.
func benches(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "rest,dns,throughput,vip,attach,policy,resolve,mesos,framework", "the parts to run, comma separated")
	binary := flags.String("binary", "bin/tombolo", "the tombolo binary")
	check := flags.Bool("check", false, "fail when a goal is missed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b, err := newBed(ctx, *binary)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := printHeader(ctx, out, b); err != nil {
		return err
	}
	var goals []goal
	wanted := strings.Split(*only, ",")
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		reached, err := p.run(ctx, b, out)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		goals = append(goals, reached...)
	}
	printGoals(out, goals)
	if *check && slices.ContainsFunc(goals, goal.missed) {
		return errors.New("a goal is missed, see the table of goals")
	}
	return nil
}
