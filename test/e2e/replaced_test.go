package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"tombolo/framework/api"
	"tombolo/test/cli"
)

// atOnce is how long anything may take that needs no time limit to pass and no failure detector.
const atOnce = time.Second

// reconnection is one line of probe pool.
type reconnection struct {
	to      string    // the host name of the server
	at      time.Time // when it answered
	pause   time.Duration
	slowest time.Duration // the longest time until one attempt failed
	why     string        // how the slowest and the first attempt failed
}

// reconnections returns what an instance that runs probe pool has printed.
func reconnections(ctx context.Context, pool api.Instance) (all []reconnection, err error) {
	h, err := testLab.Host(pool.Host)
	if err != nil {
		return nil, err
	}
	out, err := docker(ctx, *h, "logs", pool.Container)
	if err != nil || out == "" {
		return nil, fmt.Errorf("%s on %s has printed %q: %w", pool.Service, pool.Host, out, err)
	}
	for _, line := range lines(out) {
		words := strings.SplitN(line, " ", 5)
		if len(words) != 5 {
			return nil, fmt.Errorf("%s on %s printed %q, want five words", pool.Service, pool.Host, line)
		}
		at, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return nil, err
		}
		r := reconnection{to: words[0], at: time.UnixMicro(at), why: words[4]}
		if r.pause, err = time.ParseDuration(words[2]); err != nil {
			return nil, err
		}
		if r.slowest, err = time.ParseDuration(words[3]); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// A client with a connection that it keeps is told when `up` replaces the server, and reaches
// the new instance as soon as that has started: by the instance's name, and by the service's
// address. With a second replica it hardly pauses. The old instance ignores SIGTERM, so that
// SIGKILL ends it.
func TestClientsOfAReplacedInstanceReconnectAtOnce(t *testing.T) {
	file := compose(t, "swap", `
  web: {image: %IMAGE%, command: [linger, "80"], stop_grace_period: 1s, environment: {COLOUR: red}}
  pair: {image: %IMAGE%, command: [linger, "80"], stop_grace_period: 1s, environment: {COLOUR: red}, deploy: {replicas: 2}}
  by-name: {image: %IMAGE%, command: [pool, "1.web:80"], deploy: {mode: global}}
  by-service: {image: %IMAGE%, command: [pool, "web:80"], deploy: {mode: global}}
  by-pair: {image: %IMAGE%, command: [pool, "pair:80"], deploy: {mode: global}}
`)
	up(t, file)
	pools := map[string][]api.Instance{}
	for _, i := range allUp(t, "swap", 3+3*hosts) {
		pools[i.Service] = append(pools[i.Service], i)
		if strings.HasPrefix(i.Service, "by-") {
			within(t, func(ctx context.Context) error { _, err := reconnections(ctx, i); return err })
		}
	}
	rewrite(t, file, "COLOUR: red", "COLOUR: blue")
	rewrite(t, file, "COLOUR: red", "COLOUR: blue")
	up(t, file)
	fresh := map[string]time.Time{}
	for _, i := range []api.Instance{instance(t, "swap", "web", 1), instance(t, "swap", "pair", 1), instance(t, "swap", "pair", 2)} {
		fresh[hostname(i)] = lingersSince(t, i)
	}
	for _, service := range []string{"by-name", "by-service", "by-pair"} {
		for _, pool := range pools[service] {
			reconnects(t, pool, fresh)
		}
	}
}

// lingersSince returns when an instance that runs probe linger began. The Engine's StartedAt will not
// do: on Engine 29 it is before the process exists, by seconds on a busy machine.
func lingersSince(t *testing.T, i api.Instance) time.Time {
	t.Helper()
	out, err := docker(t.Context(), hostNamed(t, i.Host), "logs", i.Container)
	if err != nil {
		t.Fatalf("logs of %s.%d: %v: %s", i.Service, i.Slot, err, out)
	}
	at, err := strconv.ParseInt(lines(out)[0], 10, 64)
	if err != nil {
		t.Fatalf("%s.%d printed %q: %v", i.Service, i.Slot, out, err)
	}
	return time.UnixMicro(at)
}

// reconnects waits until a client has reached one of the servers, whose times of start fresh has, and
// checks how it came there.
func reconnects(t *testing.T, pool api.Instance, fresh map[string]time.Time) {
	t.Helper()
	var all []reconnection
	within(t, func(ctx context.Context) (err error) {
		if all, err = reconnections(ctx, pool); err == nil && fresh[all[len(all)-1].to].IsZero() {
			err = fmt.Errorf("%s on %s has reached %+v, want one of %v", pool.Service, pool.Host, all, fresh)
		}
		return err
	})
	for _, r := range all[1:] {
		late := r.pause
		if pool.Service != "by-pair" { // nobody else could answer before the new instance
			late = r.at.Sub(fresh[r.to])
		}
		t.Logf("%s on %s paused %v, was told after %v at most, and came %v late (%s)", pool.Service, pool.Host, r.pause, r.slowest, late, r.why)
		if r.slowest > atOnce || late > atOnce {
			t.Errorf("%s on %s was told after %v that its connection is lost, and came %v late; want both at once", pool.Service, pool.Host, r.slowest, late)
		}
	}
}

// keeper is a client that uses its connection when the test asks it to.
type keeper struct {
	name string
	in   io.Writer
	out  *bufio.Scanner
}

// keep starts a client inside a container. It has used its connection once.
func (c container) keep(t *testing.T, target string) (k keeper, server string) {
	t.Helper()
	cmd := cli.Docker(t.Context(), c.host.DockerHost(), "exec", "-i", c.name, "/probe", "keep", target)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	k = keeper{name: c.name + " to " + target, in: in, out: bufio.NewScanner(out)}
	server, _ = k.use(t)
	return k, server
}

// use uses the connection. It returns who answered, or "lost: " and how the connection was lost,
// and how long that took.
func (k keeper) use(t *testing.T) (answer string, took time.Duration) {
	t.Helper()
	answer, took, err := k.try()
	if err != nil {
		t.Fatal(err)
	}
	return answer, took
}

// try is use for goroutines other than the test's.
func (k keeper) try() (answer string, took time.Duration, err error) {
	if _, err := fmt.Fprintln(k.in); err != nil {
		return "", 0, fmt.Errorf("%s: %w", k.name, err)
	}
	if !k.out.Scan() {
		return "", 0, fmt.Errorf("%s printed nothing: %w", k.name, k.out.Err())
	}
	first, answer, _ := strings.Cut(k.out.Text(), " ")
	if took, err = time.ParseDuration(first); err != nil {
		return "", 0, fmt.Errorf("%s printed %q: %w", k.name, k.out.Text(), err)
	}
	return answer, took, nil
}

// moves checks that the kept connection is reset when it is used, and that the next one leads to a
// server, all at once.
func (k keeper) moves(t *testing.T, server string) {
	t.Helper()
	if answer, took := k.use(t); !strings.Contains(answer, "reset") || took > atOnce {
		t.Errorf("%s: the kept connection to an instance that was replaced: %q after %v, want a reset at once", k.name, answer, took)
	}
	if answer, took := k.use(t); answer != server || took > atOnce {
		t.Errorf("%s: the next connection: %q after %v, want an answer of %s at once", k.name, answer, took, server)
	}
}

// dieSilently kills a host whose containers can send nothing any more: not even that their
// connections are closed, as the kernel does when a process ends.
func dieSilently(t *testing.T, host string) {
	t.Helper()
	cut(t, host)
	kill(t, host)
}

// A host dies, and nobody closes the connections of clients on other hosts. Once its instance has
// been replaced, they are reset when they are used, and lead to the new instance.
func TestClientsOfADeadHostReachTheReplacement(t *testing.T) {
	up(t, compose(t, "phoenix", `
  web: {image: %IMAGE%, command: [serve, "80"]}
`))
	web := instance(t, "phoenix", "web", 1)
	var keepers []keeper
	for n, h := range testLab.Hosts {
		if h.Name == web.Host {
			continue
		}
		client := start(t, n, spec{app: "phoenix", service: "client", networks: map[string][]string{"phoenix_default": nil}, args: []string{"serve", "80"}})
		client.reaches(t, "1.web:80")
		for _, target := range []string{"web:80", "1.web:80"} {
			k, server := client.keep(t, target)
			if server != hostname(web) {
				t.Fatalf("%s: %s answers, want %s", k.name, server, hostname(web))
			}
			keepers = append(keepers, k)
		}
	}
	dieSilently(t, web.Host)
	began := time.Now()
	again := awaitInstance(t, "phoenix", "web", 1, func(i api.Instance) bool { return i.State == api.StateUp && i.Container != web.Container })
	t.Logf("web is up again on %s after %v", again.Host, time.Since(began).Round(time.Millisecond))
	for _, k := range keepers {
		k.moves(t, hostname(again))
	}
}
