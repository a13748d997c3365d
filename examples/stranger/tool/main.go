// Command tool runs in the stranger's container. It resolves names, connects, listens and forges
// packets, to show what a container without a link cannot do.
//
//	tool sleep                      wait for a signal
//	tool resolve NAME...            print each name's addresses
//	tool connect HOST:PORT          open a TCP connection
//	tool receive [-for D] PORT      print the senders of UDP packets and of TCP connections
//	tool rawsend -from A -to A:P    send a packet with a forged source address
//
// The exit code is 0 only if the command succeeded.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = "usage: tool sleep | resolve NAME... | connect HOST:PORT | receive [-for 5s] PORT | rawsend -from ADDR -to ADDR:PORT [-syn | -query NAME | -text T]"

// patience is how long the tool waits for an answer.
const patience = 3 * time.Second

var errUsage = errors.New(usage)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command(ctx, args, os.Stdout)
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		return 2
	case err != nil:
		fmt.Fprintln(os.Stderr, "tool:", err)
		return 1
	}
	return 0
}

func command(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	rest := args[1:]
	switch args[0] {
	case "sleep":
		<-ctx.Done()
		return nil
	case "resolve":
		return resolve(ctx, rest, out)
	case "connect":
		return connect(ctx, rest, out)
	case "receive":
		return receive(ctx, rest, out)
	case "rawsend":
		return rawsend(rest, out)
	}
	return errUsage
}

func resolve(ctx context.Context, names []string, out io.Writer) error {
	if len(names) == 0 {
		return errUsage
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var failed []error
	for _, name := range names {
		addrs, err := net.DefaultResolver.LookupHost(ctx, name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintln(out, name, strings.Join(addrs, " "))
	}
	return errors.Join(failed...)
}

func connect(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errUsage
	}
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, "tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "connected", conn.LocalAddr(), "->", conn.RemoteAddr())
	return conn.Close()
}
