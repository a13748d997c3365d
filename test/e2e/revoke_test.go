package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A link is removed while a flow of UDP and a connection over TCP use it, from every host, and the
// server answers late. Nothing gets through 2 s after up. The restart of all linkers before
// that cuts nothing.
func TestRemovedLinkEndsItsFlows(t *testing.T) {
	file := compose(t, "revoked", `
  db: {image: %IMAGE%, command: [answer, "9999"]}
  cache: {image: %IMAGE%, command: [serve, "80"]}
  web: {image: %IMAGE%, command: [serve, "80"], deploy: {mode: global}, links: ["db", "cache"]}
x-tombolo: {isolation: links}
`)
	up(t, file)
	all := allUp(t, "revoked", hosts+2)
	db, cache := instance(t, "revoked", "db", 1), instance(t, "revoked", "cache", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	held, senders := make(chan string, hosts), 0
	for _, i := range all {
		if i.Service != "web" {
			continue
		}
		senders++
		go func() { _, _ = inInstance(ctx, i, "stream", db.Address+":9999") }()
		go func() {
			out, err := inInstance(ctx, i, "hold", cache.Address+":80")
			lines := strings.Split(out, "\n")
			held <- fmt.Sprintf("%s: %v: %s", i.Host, err, lines[len(lines)-1])
		}()
	}
	arrivals := func() map[string]int {
		h, err := testLab.Host(db.Host)
		if err != nil {
			t.Fatal(err)
		}
		out, err := docker(t.Context(), *h, "logs", db.Container)
		if err != nil {
			t.Fatalf("logs of db: %v: %s", err, out)
		}
		count := map[string]int{}
		for _, from := range strings.Fields(out) {
			count[from]++
		}
		return count
	}
	arrive := func() {
		t.Helper()
		before := arrivals()
		within(t, func(context.Context) error {
			now := arrivals()
			growing := 0
			for from, n := range now {
				if n > before[from] {
					growing++
				}
			}
			if growing < senders {
				return fmt.Errorf("db hears %d of %d senders: %v, before that %v", growing, senders, now, before)
			}
			return nil
		})
	}
	arrive()
	for _, h := range testLab.Hosts {
		killLinker(t, h)
	}
	for _, h := range testLab.Hosts {
		waitReady(t, h)
	}
	arrive()
	select {
	case why := <-held:
		t.Errorf("after the linkers were restarted, a held connection is lost: %s", why)
	default:
	}

	rewrite(t, file, `["db", "cache"]`, "[]")
	up(t, file)
	time.Sleep(2 * time.Second) // the bound that is tested
	before := arrivals()
	time.Sleep(time.Second)
	for from, n := range arrivals() {
		if n > before[from] {
			t.Errorf("%d datagrams of %s arrive within a second, though the link was removed", n-before[from], from)
		}
	}
	for range senders {
		select {
		case <-held:
		case <-time.After(patience):
			t.Fatal("a connection lives on, though the link was removed")
		}
	}
	rewrite(t, file, "[]", `["db", "cache"]`)
	up(t, file)
	arrive() // the senders have never paused
}
