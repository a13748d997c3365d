package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// receive prints "udp ADDR TEXT" for each packet and "tcp ADDR" for each connection to a port, until
// the time is over.
func receive(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("receive", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	span := flags.Duration("for", time.Hour, "how long to listen")
	if flags.Parse(args) != nil || flags.NArg() != 1 {
		return errUsage
	}
	packets, err := net.ListenPacket("udp", ":"+flags.Arg(0))
	if err != nil {
		return err
	}
	conns, err := net.Listen("tcp", ":"+flags.Arg(0))
	if err != nil {
		packets.Close()
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *span)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { packets.Close(); conns.Close() })
	defer stop()
	fmt.Fprintln(out, "listening", flags.Arg(0))
	var both sync.WaitGroup
	both.Go(func() { readPackets(packets, out) })
	both.Go(func() { acceptConns(conns, out) })
	both.Wait()
	return nil
}

func readPackets(packets net.PacketConn, out io.Writer) {
	buf := make([]byte, 2048)
	for {
		n, from, err := packets.ReadFrom(buf)
		if err != nil {
			return
		}
		fmt.Fprintf(out, "udp %s %q\n", from, buf[:n])
	}
}

func acceptConns(conns net.Listener, out io.Writer) {
	for {
		conn, err := conns.Accept()
		if err != nil {
			return
		}
		fmt.Fprintf(out, "tcp %s\n", conn.RemoteAddr())
		conn.Close()
	}
}
