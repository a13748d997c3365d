package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// freePort returns a port that is free now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// receiver starts `tool receive` and returns the lines of its output.
func receiver(t *testing.T, port string) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- command(ctx, []string{"receive", port}, write)
		write.Close()
	}()
	t.Cleanup(func() {
		cancel()
		_ = read.Close()
		if err := <-ended; err != nil {
			t.Errorf("tool receive ended with %v", err)
		}
	})
	lines := bufio.NewScanner(read)
	if !lines.Scan() || lines.Text() != "listening "+port {
		t.Fatalf("the first line of tool receive is %q, want that it listens", lines.Text())
	}
	return lines
}

// A forged packet arrives on the loopback interface, where nothing checks its source.
func TestRawsendForgesTheSource(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"127.9.9.9", "127.0.0.1:", `udp 127.9.9.9:40000 "odd"`},
		{"127.9.9.9", "127.0.0.1:", `udp 127.9.9.9:40000 "even"`},
		{"::1", "[::1]:", `udp [::1]:40000 "six"`},
	} {
		port := freePort(t)
		lines := receiver(t, port)
		text := strings.Split(c.want, `"`)[1]
		args := []string{"rawsend", "-from", c.from, "-to", c.to + port, "-text", text}
		if err := command(context.Background(), args, io.Discard); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || lines.Text() != c.want {
			t.Errorf("tool receive printed %q, want %q", lines.Text(), c.want)
		}
	}
}

func TestConnectFailsWithoutAListener(t *testing.T) {
	port := freePort(t)
	lines := receiver(t, port)
	var out bytes.Buffer
	if err := command(context.Background(), []string{"connect", "127.0.0.1:" + port}, &out); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "tcp 127.0.0.1:") {
		t.Errorf("tool receive printed %q, want a connection from 127.0.0.1", lines.Text())
	}
	if !strings.HasSuffix(out.String(), "-> 127.0.0.1:"+port+"\n") {
		t.Errorf("tool connect printed %q, want the address that it connected to", out.String())
	}
	if err := command(context.Background(), []string{"connect", "127.0.0.1:" + freePort(t)}, &out); err == nil {
		t.Error("tool connect succeeded on a port without a listener")
	}
}

func TestResolvePrintsAddresses(t *testing.T) {
	var out bytes.Buffer
	if err := command(context.Background(), []string{"resolve", "127.0.0.1"}, &out); err != nil || out.String() != "127.0.0.1 127.0.0.1\n" {
		t.Errorf("tool resolve printed %q, %v, want the address itself", out.String(), err)
	}
}

func TestWrongArgumentsAreErrors(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"dance"},
		{"resolve"},
		{"connect"},
		{"receive"},
		{"receive", "-for", "x", "1"},
		{"rawsend", "x"},
	} {
		if err := command(context.Background(), args, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("tool %v = %v, want the usage", args, err)
		}
	}
	for _, args := range [][]string{
		{"rawsend", "-from", "x", "-to", "127.0.0.1:1"},
		{"rawsend", "-from", "127.0.0.1", "-to", "127.0.0.1"},
		{"rawsend", "-from", "::1", "-to", "127.0.0.1:1"},
	} {
		if err := command(context.Background(), args, io.Discard); err == nil {
			t.Errorf("tool %v sent a packet, want an error", args)
		}
	}
}

func TestQuestionAsksForTheName(t *testing.T) {
	data, err := question("db.guestbook")
	if err != nil {
		t.Fatal(err)
	}
	var message dnsmessage.Message
	if err := message.Unpack(data); err != nil || message.Questions[0].Name.String() != "db.guestbook." {
		t.Errorf("the query is %v, %v, want the name db.guestbook.", message, err)
	}
}

// The sum of a segment that includes its own checksum is all ones, so its complement is zero
// (RFC 1071).
func TestChecksumIncludesItself(t *testing.T) {
	segment := tcpSYN(80)
	sum := checksum(segment)
	segment[16], segment[17] = byte(sum>>8), byte(sum)
	if got := checksum(segment); got != 0 && got != 0xffff {
		t.Errorf("the checksum of a segment with its checksum is %#x, want 0 or 0xffff", got)
	}
}
