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

// parts are the benches, in order; all but dns need the bed.
var parts = []struct {
	name string
	run  func(ctx context.Context, b *bed, out io.Writer) error
}{
	{"throughput", benchThroughput},
	{"attach", benchAttach},
	{"resolve", benchResolve},
}

// benches runs the parts that are asked for.
func benches(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "dns,throughput,attach,resolve", "the parts to run, comma separated")
	binary := flags.String("binary", "bin/tombolo", "the tombolo binary")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted := strings.Split(*only, ",")
	if slices.Contains(wanted, "dns") {
		if err := benchDNS(ctx, out); err != nil {
			return fmt.Errorf("dns: %w", err)
		}
	}
	var b *bed
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		if b == nil {
			if b, err = newBed(ctx, *binary); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, b.close()) }()
		}
		if err := p.run(ctx, b, out); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}
