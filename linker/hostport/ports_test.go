package hostport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"tombolo/linker/record"
)

const ample = 10 * time.Second

// start returns Ports that run until the test ends, and the reports of their problems.
func start(t *testing.T) (*Ports, <-chan error) {
	t.Helper()
	goleak.VerifyNone(t)
	h := New(slog.New(slog.DiscardHandler))
	reports := make(chan error)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- h.Run(ctx, func(err error) {
			select {
			case reports <- err:
			case <-time.After(10 * time.Millisecond): // nobody asks
			}
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
		goleak.VerifyNone(t)
	})
	return h, reports
}

// free returns a published port that no process has.
func free(t *testing.T, proto string) record.PublishedPort {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return record.PublishedPort{HostPort: uint16(l.Addr().(*net.TCPAddr).Port), Port: 80, Proto: proto}
}

// bindError tries to listen on a port as another process would.
func bindError(p record.PublishedPort, ip string) error {
	addr := net.JoinHostPort(ip, fmt.Sprint(p.HostPort))
	if p.Proto == "tcp" {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l.Close()
		}
		return err
	}
	c, err := net.ListenPacket("udp", addr)
	if err == nil {
		c.Close()
	}
	return err
}

func TestTakenPortIsHeld(t *testing.T) {
	for _, proto := range []string{"tcp", "udp"} {
		t.Run(proto, func(t *testing.T) {
			h, _ := start(t)
			p := free(t, proto)
			for range 2 { // replicas share a port
				if holder := h.Take(p); holder != "" {
					t.Fatalf("Take says that the free port is taken by %s", holder)
				}
			}
			for _, ip := range []string{"", "0.0.0.0", "127.0.0.1", "127.0.0.9", "::1"} {
				if err := bindError(p, ip); !errors.Is(err, unix.EADDRINUSE) {
					t.Errorf("another process listens on [%s]:%d: %v, want EADDRINUSE", ip, p.HostPort, err)
				}
			}
			h.Keep([]record.PublishedPort{p})
			if err := bindError(p, ""); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("after Keep another process listens: %v, want EADDRINUSE", err)
			}
			h.Keep(nil)
			if err := bindError(p, ""); err != nil {
				t.Errorf("the port is not free after it was given up: %v", err)
			}
		})
	}
}

func TestPortOfAnotherProcessIsNotTaken(t *testing.T) {
	h, reports := start(t)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := record.PublishedPort{HostPort: uint16(other.Addr().(*net.TCPAddr).Port), Port: 80, Proto: "tcp"}
	me := fmt.Sprintf("(pid %d)", os.Getpid())
	if holder := h.Take(p); !strings.Contains(holder, me) {
		t.Errorf("Take says that the port is taken by %q, want %s", holder, me)
	}
	ingress := map[Port]string{portOf(p): "service web of app shop"}
	if taken := h.Ingress(ingress); !strings.Contains(taken[portOf(p)], me) {
		t.Errorf("Ingress says that these ports are taken: %v, want %s", taken, me)
	}
	h.Ingress(nil)
	one := p
	one.HostIP = netip.MustParseAddr("127.0.0.9")
	if holder := h.Take(one); holder != "" {
		t.Errorf("Take says that another address's port is taken by %s", holder)
	}
	// A linker that starts finds that another process has the port of its container.
	h.Keep([]record.PublishedPort{p})
	if err := <-reports; err == nil || !strings.Contains(err.Error(), me) {
		t.Errorf("Run reports %v, want %s", err, me)
	}
	other.Close()
	if err := <-reports; err != nil {
		t.Errorf("after the process has ended Run reports %v", err)
	}
	if err := bindError(p, ""); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the port is not held after the process has ended: %v", err)
	}
	if taken := h.Ingress(ingress); len(taken) != 0 {
		t.Errorf("after the process has ended Ingress says that these ports are taken: %v", taken)
	}
}

func TestIngressAndContainersExcludeEachOther(t *testing.T) {
	h, _ := start(t)
	p, q := free(t, "tcp"), free(t, "tcp")
	if holder := h.Take(p); holder != "" {
		t.Fatal(holder)
	}
	ports := map[Port]string{portOf(q): "service web of app shop"}
	if taken := h.Ingress(ports); len(taken) != 0 {
		t.Errorf("free ports are taken: %v", taken)
	}
	if holder := h.Take(q); holder != "service web of app shop" {
		t.Errorf("Take of an ingress port says that it is taken by %q", holder)
	}
	narrow := p
	narrow.HostIP = netip.MustParseAddr("127.0.0.1")
	if taken := h.Ingress(map[Port]string{portOf(narrow): "service db of app shop"}); taken[portOf(narrow)] == "" {
		t.Errorf("a container's port can be an ingress port too: %v", taken)
	}
	if err := bindError(q, ""); err != nil {
		t.Errorf("an ingress port that is gone is still held: %v", err)
	}
}

// The relay serves ::1 and nobody else.
func TestLoopback6(t *testing.T) {
	h, _ := start(t)
	for _, proto := range []string{"tcp", "udp"} {
		t.Run(proto, func(t *testing.T) {
			server := echoServer(t, proto)
			p := free(t, proto)
			if holder := h.Take(p); holder != "" {
				t.Fatal(holder)
			}
			loopback, v4 := fmt.Sprintf("[::1]:%d", p.HostPort), fmt.Sprintf("127.0.0.1:%d", p.HostPort)
			if answer, err := ask(proto, loopback, time.Second); err == nil {
				t.Errorf("a port without a target answers %q", answer)
			}
			h.Lead(map[Port][]netip.AddrPort{portOf(p): {netip.MustParseAddrPort("[::1]:1"), server}})
			if answer, err := ask(proto, loopback, ample); err != nil || answer != "x" {
				t.Errorf("::1 answers %q (%v), want the server's answer", answer, err)
			}
			if answer, err := ask(proto, v4, time.Second); err == nil {
				t.Errorf("127.0.0.1, which the kernel's rules serve, answers %q", answer)
			}
		})
	}
}

// A UDP client follows the port to another target without a pause.
func TestLoopback6FollowsTheTarget(t *testing.T) {
	h, _ := start(t)
	p := free(t, "udp")
	if holder := h.Take(p); holder != "" {
		t.Fatal(holder)
	}
	client, err := net.Dial("udp", fmt.Sprintf("[::1]:%d", p.HostPort))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 2 {
		h.Lead(map[Port][]netip.AddrPort{portOf(p): {echoServer(t, "udp")}})
		if answer, err := exchange(client, ample); err != nil || answer != "x" {
			t.Errorf("::1 answers %q (%v), want the server's answer", answer, err)
		}
	}
}

// The end of the data passes, and answers arrive after it.
func TestHalfClosedConnections(t *testing.T) {
	h, _ := start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		lines := 0
		for in := bufio.NewScanner(c); in.Scan(); lines++ {
		}
		fmt.Fprintf(c, "%d lines", lines)
	}()
	p := free(t, "tcp")
	if holder := h.Take(p); holder != "" {
		t.Fatal(holder)
	}
	h.Lead(map[Port][]netip.AddrPort{portOf(p): {l.Addr().(*net.TCPAddr).AddrPort()}})
	c, err := net.Dial("tcp", fmt.Sprintf("[::1]:%d", p.HostPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "a\nb\n")
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(ample))
	buf := make([]byte, 64)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "2 lines" {
		t.Errorf("the answer is %q (%v), want 2 lines", buf[:n], err)
	}
}

// echoServer returns the IPv4 address of a server that sends back what it gets.
func echoServer(t *testing.T, proto string) netip.AddrPort {
	t.Helper()
	if proto == "tcp" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				buf := make([]byte, 64)
				n, _ := c.Read(buf)
				_, _ = c.Write(buf[:n])
				c.Close()
			}
		}()
		return l.Addr().(*net.TCPAddr).AddrPort()
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for buf := make([]byte, 64); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(buf[:n], from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func ask(proto, addr string, wait time.Duration) (string, error) {
	c, err := net.DialTimeout(proto, addr, wait)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return exchange(c, wait)
}

func exchange(c net.Conn, wait time.Duration) (string, error) {
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, err := c.Write([]byte("x")); err != nil {
		return "", err
	}
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}
