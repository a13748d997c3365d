package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// serveDatagrams answers each datagram as serve answers a line.
func serveDatagrams(port, name string) error {
	c, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return err
	}
	go func() {
		for buf := make([]byte, 2048); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				continue // an earlier answer was refused
			}
			_, _ = fmt.Fprintf(answerer{c, from}, "%s: %s\n", name, reply(strings.TrimSpace(string(buf[:n])), from))
		}
	}()
	return nil
}

type answerer struct {
	net.PacketConn
	to net.Addr
}

func (a answerer) Write(b []byte) (int, error) { return a.WriteTo(b, a.to) }

// reply returns the client's address for the line "from", and else the line.
func reply(line string, client net.Addr) string {
	if line != "from" {
		return line
	}
	host, _, err := net.SplitHostPort(client.String())
	if err != nil {
		return client.String()
	}
	return strings.TrimPrefix(host, "::ffff:")
}

// pour sends datagrams that need no answer, for some time.
func pour(args []string) error {
	long, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	c, err := net.Dial("udp", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	n := 0
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(2 * time.Millisecond) { // the pace of the sender
		if _, err := c.Write([]byte("x")); err == nil { // otherwise an earlier one was refused
			n++
		}
	}
	fmt.Println(n, "datagrams")
	return nil
}

// send is dial by UDP.
func send(args []string) error {
	c, err := net.DialTimeout("udp", args[0], dialTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	return exchange(c, bufio.NewReader(c), "hello")
}
