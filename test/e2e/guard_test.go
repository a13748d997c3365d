package e2e

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tombolo/linker/record"
)

// Another program flushes nftables on all hosts while no linker runs. Nothing forbidden passes; the
// linkers that come back let established connections go on.
func TestPolicyFailsClosed(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	holder := start(t, 2, spec{app: "shop", service: "holder", args: []string{"hold", "db:5432"}})
	within(t, func(context.Context) error { return exchanges(t, holder) })
	stranger := start(t, 1, spec{app: "stranger", service: "tool", args: []string{"serve", "80"}})
	stranger.reaches(t, "tool:80")
	dockerContainer(t, testLab.Hosts[0], "attack-engine", []string{"--network", "host"}, "serve", "2375")
	keepDockersRules(t)
	for _, h := range testLab.Hosts {
		signalLinker(t, h, "-STOP") // the supervisor too, which would start another
	}
	flushAll(t)
	var attacks sync.WaitGroup
	for _, to := range []string{db.address(t) + ":5432", testLab.Hosts[0].Underlay.String() + ":2375", web.address(t) + ":80"} {
		attacks.Go(func() { stranger.refuses(t, to) }) // at once: the holder waits 5 s for an answer
	}
	attacks.Wait()
	for _, h := range testLab.Hosts {
		signalLinker(t, h, "-CONT")
	}
	within(t, func(context.Context) error { return exchanges(t, holder) })
	if err := holder.running(t.Context()); err != nil {
		t.Errorf("the established connection broke: %v: %s", err, holder.logs(t))
	}
	web.reaches(t, "db:5432")
	stranger.refuses(t, db.address(t)+":5432")
}

// Another program flushes nftables while linkers run: no forbidden connection gets through.
func TestNothingForbiddenPassesWhileOthersFlush(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	stranger := start(t, 1, spec{app: "stranger", service: "tool", args: []string{"serve", "80"}})
	stranger.reaches(t, "tool:80")
	keepDockersRules(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	flooded := make(chan string, 1) // so that the goroutine never waits for the receiver
	go func() {
		out, _ := stranger.exec(t.Context(), "flood", db.address(t)+":5432", "3s")
		flooded <- out
	}()
	for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) { // the pace of the other program
		flushAll(t)
	}
	if out := <-flooded; out != "0 connections" {
		t.Errorf("a stranger dialled db for 3 s while others flushed: %q, want 0 connections", out)
	}
	within(t, func(ctx context.Context) error {
		if out, err := web.exec(ctx, "dial", "db:5432"); err != nil {
			return fmt.Errorf("web dials db after the last flush: %w: %s", err, out)
		}
		return nil
	})
}

// An internal container floods its host and the outside with datagrams, which need no answer, while
// another program flushes nftables, without linkers and with them. Not one arrives.
func TestNoDatagramOfAnInternalContainerPasses(t *testing.T) {
	shut := start(t, 0, spec{app: "vault", service: "db", flags: []string{"--label", record.LabelInternal + "=true"}, args: []string{"serve", "80"}})
	shut.reaches(t, "db:80") // it is identified
	address := shut.address(t)
	targets := []string{testLab.Hosts[0].Underlay.String() + ":7981", testLab.Hosts[1].Underlay.String() + ":7981", address[:strings.LastIndex(address, ".")] + ".1:7981"}
	var catchers []container
	for i, h := range testLab.Hosts[:2] {
		catchers = append(catchers, dockerContainer(t, h, fmt.Sprint("attack-catcher-", i), []string{"--network", "host"}, "catch", "7981"))
	}
	within(t, func(context.Context) error { // the catchers hear their hosts
		inHost(t, testLab.Hosts[0], probe, "pour", targets[0], "50ms")
		inHost(t, testLab.Hosts[0], probe, "pour", targets[1], "50ms")
		for _, c := range catchers {
			if c.logs(t) == "" {
				return fmt.Errorf("%s hears nothing", c.name)
			}
		}
		return nil
	})
	heard := func() (n int) {
		for _, c := range catchers {
			n += strings.Count(c.logs(t), "\n") // a line for each datagram
		}
		return n
	}
	keepDockersRules(t)
	var between int // datagrams that may be between two hooks of the kernel when the rules go
	for name, around := range map[string]func(attack func()){
		"while no linker runs": func(attack func()) {
			for _, h := range testLab.Hosts {
				signalLinker(t, h, "-STOP")
				defer signalLinker(t, h, "-CONT")
			}
			flushAll(t)
			attack()
		},
		"while another program flushes five times a second": func(attack func()) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { defer cancel(); attack() }()
			for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) { // the pace of the other program
				flushAll(t)
				between += runtime.NumCPU()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := heard()
			between = 0
			around(func() {
				var floods sync.WaitGroup
				for _, to := range targets {
					floods.Go(func() {
						if out, err := shut.exec(t.Context(), "pour", to, "2s"); err != nil {
							t.Errorf("flood %s: %v: %s", to, err, out)
						}
					})
				}
				floods.Wait()
			})
			if after := heard(); after > before+between {
				t.Errorf("datagrams of an internal container arrived: the catchers heard %q and %q", catchers[0].logs(t), catchers[1].logs(t))
			}
		})
	}
	web := start(t, 1, spec{app: "vault", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:80")
}

func flushAll(t *testing.T) {
	t.Helper()
	for _, h := range testLab.Hosts {
		inHost(t, h, "nft", "flush", "ruleset")
	}
}

// keepDockersRules restores the rules of the Engines when the test ends: they do not restore them
// themselves.
func keepDockersRules(t *testing.T) {
	t.Helper()
	for _, h := range testLab.Hosts {
		for _, tool := range []string{"iptables", "ip6tables"} {
			rules := inHost(t, h, tool+"-save")
			t.Cleanup(func() {
				inHost(t, h, "sh", "-c", tool+"-restore <<'x'\n"+rules+"\nx")
			})
		}
	}
}
