package main

import (
	"context"
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

// servers are what the benches start as processes of their own: `bench serve-echo`.
var servers = map[string]func(context.Context) error{
	"serve-dns":  serveDNS,
	"serve-echo": serveEcho,
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(args) > 0 && servers[args[0]] != nil {
		err = servers[args[0]](ctx)
	} else {
		err = benches(ctx, args, os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// benches runs the parts that are asked for, in order.
func benches(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "dns", "the parts to run, comma separated")
	flags.String("binary", "bin/tombolo", "the tombolo binary")
	if err := flags.Parse(args); err != nil {
		return err
	}
	parts := strings.Split(*only, ",")
	if slices.Contains(parts, "dns") {
		if err := benchDNS(ctx, out); err != nil {
			return fmt.Errorf("dns: %w", err)
		}
	}
	return nil
}
