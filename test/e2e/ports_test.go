package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
)

// follow is the longest time from a container's start until datagrams to its published port arrive.
const follow = 2 * time.Second

// The datagrams of a client that has one port and never pauses arrive after each start of the
// service, also if the client began before it.
func TestDatagramsArriveAfterEachStart(t *testing.T) {
	h := hostNamed(t, "h1")
	client := newStream(t, h.Underlay.String()+":8151")
	file := compose(t, "stream", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    environment: {VERSION: "1"}
    ports: ["8151:80/udp"]
    deploy: {placement: {constraints: [node.hostname == h1]}}
`)
	up(t, file)
	client.arrives(t, "up", allUp(t, "stream", 1)[0])
	before := allUp(t, "stream", 1)[0]
	if out, err := docker(t.Context(), h, "stop", "-t", "0", before.Container); err != nil {
		t.Fatalf("stop: %v: %s", err, out)
	}
	within(t, func(ctx context.Context) error {
		if now, err := upNow(ctx, "stream", 1); err != nil || now[0].Container == before.Container {
			return fmt.Errorf("no other container takes the place of the one that was stopped: %w", err)
		}
		return nil
	})
	client.arrives(t, "a restart", allUp(t, "stream", 1)[0])
	rewrite(t, file, `VERSION: "1"`, `VERSION: "2"`)
	up(t, file)
	client.arrives(t, "a change", allUp(t, "stream", 1)[0])
	if out, err := tombolo.Must(t.Context(), "-f", file, "down"); err != nil {
		t.Fatalf("down: %v\n%s", err, out)
	}
	time.Sleep(time.Second) // the client goes on while nothing is published
	up(t, file)
	client.arrives(t, "down and up", allUp(t, "stream", 1)[0])
}

func hostNamed(t *testing.T, name string) lab.Host {
	t.Helper()
	h, err := testLab.Host(name)
	if err != nil {
		t.Fatal(err)
	}
	return *h
}

// stream sends datagrams from one port outside of the hosts without a pause, and notes when each
// server first answered.
type stream struct {
	mu    sync.Mutex
	first map[string]time.Time // container's host name -> its first answer
}

func newStream(t *testing.T, addr string) *stream {
	t.Helper()
	s := &stream{first: map[string]time.Time{}}
	var conn net.Conn
	if err := lab.InUnderlay(func() (err error) { conn, err = net.Dial("udp", addr); return err }); err != nil {
		t.Fatal(err)
	}
	var ending sync.WaitGroup
	ending.Go(func() {
		for {
			if _, err := fmt.Fprintln(conn, "hello"); errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(20 * time.Millisecond) // the pace of the traffic
		}
	})
	ending.Go(func() {
		for buf := make([]byte, 256); ; {
			n, err := conn.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if name, _, ok := strings.Cut(string(buf[:max(n, 0)]), ":"); err == nil && ok {
				s.mu.Lock()
				if s.first[name].IsZero() {
					s.first[name] = time.Now()
				}
				s.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { conn.Close(); ending.Wait() })
	return s
}

// arrives checks that the instance answered soon after its container had started.
func (s *stream) arrives(t *testing.T, after string, i api.Instance) {
	t.Helper()
	h := hostNamed(t, i.Host)
	out, err := docker(t.Context(), h, "inspect", "-f", "{{.Config.Hostname}} {{.State.StartedAt}}", i.Container)
	if err != nil {
		t.Fatalf("inspect %s: %v: %s", i.Container, err, out)
	}
	name, at, _ := strings.Cut(out, " ")
	started, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		t.Fatal(err)
	}
	deadline := started.Add(follow)
	for {
		s.mu.Lock()
		first := s.first[name]
		s.mu.Unlock()
		switch {
		case !first.IsZero() && !first.After(deadline):
			t.Logf("after %s datagrams arrive %v after the start", after, first.Sub(started).Round(time.Millisecond))
			return
		case !first.IsZero():
			t.Fatalf("after %s datagrams arrive %v after the start, want %v at most", after, first.Sub(started), follow)
		case time.Now().After(deadline.Add(time.Second)):
			t.Fatalf("after %s no datagram arrives", after)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Published ports answer at ::1 too, and nobody else can have them.
func TestPublishedPortsAreHeld(t *testing.T) {
	up(t, compose(t, "held", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    ports: ["8152:80", "8152:80/udp", "127.0.0.1:8153:80"]
    deploy: {placement: {constraints: [node.hostname == h1]}}
`))
	allUp(t, "held", 1)
	h := hostNamed(t, "h1")
	for _, dial := range [][]string{
		{"dial", "127.0.0.1:8152"}, {"send", "127.0.0.1:8152"}, {"dial", "[::1]:8152"}, {"send", "[::1]:8152"}, {"dial", "127.0.0.1:8153"},
	} {
		if out, err := h.Command(append([]string{probe}, dial...)...).CombinedOutput(); err != nil {
			t.Errorf("%v on h1: %v: %s", dial, err, out)
		}
	}
	if out, err := h.Command(probe, "dial", "[::1]:8153").CombinedOutput(); err == nil {
		t.Errorf("the port of 127.0.0.1 alone answers at ::1: %s", out)
	}
	portIsTaken(t, h, "8152")
	portIsTaken(t, h, "8153")
	killChild(t, h) // the next linker holds the ports again
	waitReady(t, h)
	portIsTaken(t, h, "8152")
	if out, err := h.Command(probe, "dial", "[::1]:8152").CombinedOutput(); err != nil {
		t.Errorf("after the linker's restart ::1 does not answer: %v: %s", err, out)
	}
	if _, err := tombolo.Must(t.Context(), "-p", "held", "down"); err != nil {
		t.Fatal(err)
	}
	within(t, func(ctx context.Context) error { // the port is free for others again
		out, err := docker(ctx, h, "run", "-d", "--name", "takes-8152", "-p", "8152:80", image, "serve", "80")
		removeContainer(t, h, "takes-8152")
		if err != nil {
			return fmt.Errorf("after down docker run -p cannot have the port: %w: %s", err, out)
		}
		return nil
	})
}

// portIsTaken checks that neither a process nor docker run -p can have a port.
func portIsTaken(t *testing.T, h lab.Host, port string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	cmd := h.Command(probe, "serve", port)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // nsenter's child may keep the pipe open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
		if !strings.Contains(out.String(), "address already in use") {
			t.Errorf("a process that listens on port %s of %s says %q", port, h.Name, out.String())
		}
	case <-ctx.Done():
		t.Errorf("a process listens on port %s of %s, which is published", port, h.Name)
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Process.Kill()
		<-ended
	}
	name := "takes-" + port
	text, err := docker(t.Context(), h, "run", "-d", "--name", name, "-p", port+":80", image, "serve", "80")
	if err == nil || !strings.Contains(text, "already") {
		t.Errorf("docker run -p %s:80 on %s: %v: %s; want it to say that the port is taken", port, h.Name, err, text)
	}
	removeContainer(t, h, name)
}

// removeContainer removes a container, also one that could not be started.
func removeContainer(t *testing.T, h lab.Host, name string) {
	t.Helper()
	if out, err := docker(context.Background(), h, "rm", "-f", name); err != nil && !strings.Contains(out, "No such container") {
		t.Errorf("rm %s: %v: %s", name, err, out)
	}
}

// A port with mode: ingress is served by every host: by its own instance, which sees the client's
// address, or else by an instance of another host.
func TestIngressPorts(t *testing.T) {
	file := compose(t, "ingress", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    ports:
      - {target: 80, published: "8154", mode: ingress}
      - {target: 80, published: "8154", protocol: udp, mode: ingress}
    deploy: {replicas: 1, placement: {constraints: [node.hostname == h1]}}
`)
	up(t, file)
	first := allUp(t, "ingress", 1)[0]
	for _, h := range testLab.Hosts {
		served(t, h, first)
	}
	for _, dial := range []string{"dial", "send"} {
		for _, addr := range []string{"127.0.0.1:8154", "[::1]:8154"} {
			if out, err := hostNamed(t, "h3").Command(probe, dial, addr).CombinedOutput(); err != nil {
				t.Errorf("%s %s on h3, which runs no instance: %v: %s", dial, addr, err, out)
			}
		}
	}
	for _, h := range testLab.Hosts {
		portIsTaken(t, h, "8154")
	}
	taken(t, "other-ingress", `ports: [{target: 80, published: "8154", mode: ingress}]`)
	taken(t, "other-host", `ports: ["8154:80"]`)
	out, err := docker(t.Context(), hostNamed(t, "h3"), "run", "-d", "--name", "takes-8154", "--net", "tombolo", "-p", "8154:80", image, "serve", "80")
	removeContainer(t, hostNamed(t, "h3"), "takes-8154")
	if err == nil || !strings.Contains(out, "service web of app ingress") {
		t.Errorf("docker run on the overlay with the ingress port: %v: %s; want it to name the service", err, out)
	}
	rewrite(t, file, "replicas: 1, placement: {constraints: [node.hostname == h1]}", "replicas: 3")
	up(t, file)
	for _, i := range allUp(t, "ingress", 3) { // now each host has its own
		served(t, hostNamed(t, i.Host), i)
	}
	rewrite(t, file, "replicas: 3", "replicas: 0")
	up(t, file)
	within(t, func(context.Context) error { // without an instance a connection is refused at once
		began := time.Now()
		err := hostsClient(testLab.Hosts[1], "tcp", func(net.Conn) error { return nil })
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(began) > time.Second {
			return fmt.Errorf("connecting to a service without an instance: %w after %v, want a refusal at once", err, time.Since(began))
		}
		return nil
	})
}

// served waits until a host's ingress port leads to an instance, by TCP and UDP. An instance of the
// host itself sees the client's address, one of another host the host's.
func served(t *testing.T, h lab.Host, i api.Instance) {
	t.Helper()
	name, err := docker(t.Context(), hostNamed(t, i.Host), "inspect", "-f", "{{.Config.Hostname}}", i.Container)
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"tcp", "udp"} {
		within(t, func(context.Context) error {
			return hostsClient(h, network, func(c net.Conn) error {
				want := name + ": " + strings.Split(c.LocalAddr().String(), ":")[0] + "\n"
				if _, err := fmt.Fprintln(c, "from"); err != nil {
					return err
				}
				answer, err := bufio.NewReader(c).ReadString('\n')
				if err != nil || i.Host == h.Name && answer != want || !strings.HasPrefix(answer, name+": ") {
					return fmt.Errorf("%s of %s answers %q (%w), want %q", network, h.Name, answer, err, want)
				}
				return nil
			})
		})
	}
}

// hostsClient connects to the port 8154 of a host from outside of the hosts.
func hostsClient(h lab.Host, network string, use func(net.Conn) error) error {
	return lab.InUnderlay(func() error {
		c, err := net.DialTimeout(network, h.Underlay.String()+":8154", 2*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		return use(c)
	})
}

// taken checks that an app with the ingress port of another app is refused.
func taken(t *testing.T, app, ports string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	text := "name: " + app + "\nservices:\n  web:\n    image: " + image + "\n    command: [serve, \"80\"]\n    " + ports + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := tombolo.Must(t.Context(), "-f", file, "up"); err == nil || !strings.Contains(err.Error()+out, "is published by ingress/web") {
		t.Errorf("up of %s with %s: %v: %s; want it to name the service that has the port", app, ports, err, out)
		_, _ = tombolo.Must(t.Context(), "-f", file, "down")
	}
}
