package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"tombolo/framework/api"
)

// A service's addresses answer echo requests, also those of the only instance itself. A stranger
// that knows them is told that it may not, and with nobody there everybody is.
func TestServiceAddressesAnswerEcho(t *testing.T) {
	web := start(t, 0, spec{app: "echo", service: "web", args: []string{"serve", "80"}})
	for _, host := range []int{0, 1} {
		asker := start(t, host, spec{app: "echo", service: "asker", args: []string{"serve", "80"}})
		stranger := start(t, host, spec{app: "deaf", service: "tool", args: []string{"serve", "80"}})
		asker.reaches(t, "web:80")
		stranger.reaches(t, "tool:80")
		addr4, addr6 := asker.looksUp(t, "web")
		for _, addr := range []string{addr4, addr6} {
			asker.pings(t, addr, "reply")
			stranger.pings(t, addr, "unreachable")
			if host == 0 {
				web.pings(t, addr, "reply")
			}
		}
	}
	asker := start(t, 2, spec{app: "echo", service: "asker", args: []string{"serve", "80"}})
	asker.reaches(t, "web:80")
	addr4, addr6 := asker.looksUp(t, "web")
	if out, err := docker(t.Context(), web.host, "stop", "-t", "1", web.name); err != nil {
		t.Fatalf("docker stop: %v: %s", err, out)
	}
	asker.pings(t, addr4, "unreachable")
	asker.pings(t, addr6, "unreachable")
}

// pings waits until echo requests have a result, which has to come at once.
func (c container) pings(t *testing.T, addr, want string) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		began := time.Now()
		if out, err := c.exec(ctx, "ping", addr); out != want || time.Since(began) > atOnce {
			return fmt.Errorf("%s pings %s: %w: %s after %v, want %s at once", c.name, addr, err, out, time.Since(began), want)
		}
		return nil
	})
}

// leaver is an app of two replicas, with clients that one of them serves.
type leaver struct {
	t      *testing.T
	victim api.Instance
	rest   api.Instance
	asker  api.Instance
	number int // of the clients so far
}

// flow starts clients with one flow of UDP each, until the victim answers one of them.
func (l *leaver) flow(addr string) container {
	l.t.Helper()
	for range 20 {
		c := l.client("talk", net.JoinHostPort(addr, "80"))
		within(l.t, func(context.Context) error {
			if out := c.logs(l.t); !strings.Contains(out, hostname(l.victim)) && !strings.Contains(out, hostname(l.rest)) {
				return fmt.Errorf("nobody answers %s: %s", c.name, out)
			}
			return nil
		})
		if last(c.logs(l.t)) == hostname(l.victim) {
			return c
		}
	}
	l.t.Fatal("of 20 flows none leads to the second instance")
	return container{}
}

func last(text string) string { all := lines(text); return all[len(all)-1] }

func (l *leaver) client(args ...string) container {
	l.t.Helper()
	l.number++
	return start(l.t, 0, spec{app: "visitor", service: fmt.Sprintf("client%d", l.number), networks: map[string][]string{"leaver_default": nil}, args: args})
}

// connection returns a client whose connection leads to the victim.
func (l *leaver) connection(addr string) keeper {
	l.t.Helper()
	c := l.client("serve", "80")
	for range 20 {
		if k, server := c.keep(l.t, net.JoinHostPort(addr, "80")); server == hostname(l.victim) {
			return k
		}
	}
	l.t.Fatal("of 20 connections none leads to the second instance")
	return keeper{}
}

// moved waits until other instances than the victim answer a flow of UDP, and checks that the
// client missed answers for a moment at most.
func (l *leaver) moved(flow container) {
	l.t.Helper()
	within(l.t, func(context.Context) error {
		if got := last(flow.logs(l.t)); got == hostname(l.victim) || strings.Contains(got, " ") {
			return fmt.Errorf("the flow of %s is answered with %q, want another instance than %s", flow.name, got, hostname(l.victim))
		}
		return nil
	})
	refused := 0
	for _, line := range lines(flow.logs(l.t)) {
		switch {
		case strings.Contains(line, "refused"):
			refused++
		case strings.Contains(line, " "):
			l.t.Errorf("a datagram of %s was lost: %s", flow.name, line)
		}
	}
	l.t.Logf("%s moved; %d datagrams were refused, 50 ms apart", flow.name, refused)
	if refused > 20 {
		l.t.Errorf("%d datagrams of %s were refused, 50 ms apart, until it moved; want it within a second", refused, flow.name)
	}
}

// An instance that is asked to end and takes its time gets no new connection. Flows of UDP move to
// another instance, and a TCP connection goes on until the instance ends. The same holds for one
// that ends without notice.
func TestInstancesThatLeaveGetNoNewFlow(t *testing.T) {
	up(t, compose(t, "leaver", `
  web: {image: %IMAGE%, command: [linger, "80"], stop_grace_period: 8s, deploy: {replicas: 2}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`))
	l := &leaver{t: t, victim: instance(t, "leaver", "web", 2), rest: instance(t, "leaver", "web", 1), asker: instance(t, "leaver", "asker", 1)}
	addr4, addr6 := l.client("serve", "80").looksUpSoon(t, "web")

	flows, connections := []container{l.flow(addr4), l.flow(addr6)}, []keeper{l.connection(addr4), l.connection(addr6)}
	ended := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := tombolo.Must(t.Context(), "-p", "leaver", "scale", "web=1")
		ended <- err
	}()
	awaitInstance(t, "leaver", "web", 2, func(i api.Instance) bool { return i.State == api.StateStopping })
	answering(t, l.asker, l.rest)
	for _, f := range flows {
		l.moved(f)
	}
	for _, k := range connections {
		if answer, took := k.use(t); answer != hostname(l.victim) {
			t.Errorf("%v after scale, a connection to an instance that is about to end: %q after %v, want an answer of it", time.Since(began), answer, took)
		}
	}
	if out, err := inInstance(t.Context(), l.asker, "dial", l.victim.Address+":80"); err != nil {
		t.Errorf("the instance that is about to end does not serve any more (%v: %s), so the test shows nothing", err, out)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	within(t, func(context.Context) error {
		if got := containers(t, "leaver"); len(got) != 2 {
			return fmt.Errorf("two instances run in the containers %v, want two", got)
		}
		return nil
	})
	for _, k := range connections {
		if answer, took := k.use(t); !strings.HasPrefix(answer, "lost: ") || took > atOnce {
			t.Errorf("a connection to an instance that has ended: %q after %v, want that it is lost at once", answer, took)
		}
		if answer, took := k.use(t); answer != hostname(l.rest) || took > atOnce {
			t.Errorf("the next connection: %q after %v, want an answer of the other instance at once", answer, took)
		}
	}

	l.victim = l.rest
	flows = []container{l.flow(addr4), l.flow(addr6)}
	if _, err := tombolo.Must(t.Context(), "-p", "leaver", "scale", "web=2"); err != nil {
		t.Fatal(err)
	}
	answering(t, l.asker, l.victim, instance(t, "leaver", "web", 2))
	if out, err := docker(t.Context(), hostNamed(t, l.victim.Host), "kill", l.victim.Container); err != nil {
		t.Fatalf("docker kill: %v: %s", err, out)
	}
	for _, f := range flows {
		l.moved(f)
	}
}

// looksUpSoon is looksUp for a container that has just started.
func (c container) looksUpSoon(t *testing.T, name string) (addr4, addr6 string) {
	t.Helper()
	c.reaches(t, name+":80")
	return c.looksUp(t, name)
}
