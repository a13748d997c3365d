package overlay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// follow is the longest time until a client's datagrams follow a published port.
const follow = 2 * time.Second

// A client with a fixed port that never pauses follows a published port, also if the port was
// published nowhere when the client began.
func TestDatagramsFollowAPublishedPort(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	h, other := l.hosts[0], l.hosts[1]
	other.set()
	h.set()
	r := newReplicas(h, 2)
	client := h.run(h.endpoint(9))
	h.set()
	senders := map[string]*sender{
		"the outside":      newSender(t, l.outside, at(h.Underlay, 8001)),
		"another host":     newSender(t, other.ns, at(h.Underlay, 8001)),
		"the host":         newSender(t, h.ns, at(h.Underlay, 8001)),
		"loopback":         newSender(t, h.ns, "127.0.0.1:8001"),
		"a single address": newSender(t, h.ns, "127.0.0.1:8002"),
		"IPv6":             newSender(t, h.ns, at(h.Overlay6, 8001)),
		"a container":      newSender(t, client, at(h.Underlay, 8001)),
	}
	first, second := r.all[0], r.all[1]
	arrive := func(when string, at Endpoint) {
		t.Helper()
		deadline := time.Now().Add(follow)
		for from, s := range senders {
			if err := s.answeredBy(at.ID, deadline); err != nil {
				t.Errorf("%s: datagrams from %s do not arrive: %v", when, from, err)
			}
		}
	}
	for _, s := range senders {
		s.drain()
	}
	r.publish(first)
	arrive("published", first)
	r.publish(second)
	arrive("led elsewhere", second)
	r.publish()
	must(t, h.overlay.Detach(t.Context(), second.ID))
	for _, s := range senders {
		s.drain()
	}
	r.publish(first)
	arrive("published again", first)
	enter(t, h.ns, func() {
		must(t, runNft(t.Context(), "flush ruleset"))
		must(t, netlink.ConntrackTableFlush(netlink.ConntrackTable)) // the flows begin anew, untranslated
	})
	time.Sleep(patience)
	h.set()
	arrive("after another program flushed the rules", first)
	r.publish()
	for _, s := range senders {
		s.drain()
	}
	h.restart() // as when the linker was down while the container started
	r.publish(first)
	arrive("after the linker's restart", first)
}

// sender sends datagrams without a pause from one port.
type sender struct{ conn net.Conn }

func newSender(t *testing.T, ns netns.NsHandle, addr string) *sender {
	t.Helper()
	conn, err := dial(t, ns, "udp", addr, ample)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := conn.Write([]byte("x")); errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(20 * time.Millisecond) // the pace of the traffic
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return &sender{conn}
}

// answeredBy waits until an answer of the given replica arrives.
func (s *sender) answeredBy(name string, deadline time.Time) error {
	_ = s.conn.SetReadDeadline(deadline)
	last := ""
	for buf := make([]byte, 64); ; {
		n, err := s.conn.Read(buf)
		switch {
		case err == nil && string(buf[:n]) == name:
			return nil
		case err == nil:
			last = string(buf[:n])
		case time.Now().After(deadline):
			return fmt.Errorf("the last answer is from %q: %w", last, err)
		default: // a refusal of an earlier datagram
		}
	}
}

// drain waits until the answers that are under way have arrived, and drops them.
func (s *sender) drain() {
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	for buf := make([]byte, 64); ; {
		if _, err := s.conn.Read(buf); errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// Only flows that a changed port concerns are strays.
func TestStrays(t *testing.T) {
	ip := netip.MustParseAddr
	host, client, elsewhere := ip("198.18.0.11"), ip("198.18.0.100"), ip("198.18.0.12")
	first, second := ip("100.64.1.5"), ip("100.64.1.6")
	published := func(all ...Publish) contents {
		c := contents{}
		c.publish(all)
		return c
	}
	everywhere := func(to netip.Addr) Publish { return Publish{HostPort: 53, Proto: "udp", To: to, Port: 53} }
	here := Publish{HostIP: host, HostPort: 53, Proto: "udp", To: second, Port: 53}
	for _, tt := range []struct {
		name                string
		removed, added, now contents
		to, answers         netip.Addr
		want                bool
	}{
		{"untranslated, now published", nil, published(everywhere(first)), published(everywhere(first)), host, host, true},
		{"untranslated, published before", nil, nil, published(everywhere(first)), host, host, false},
		{"untranslated, to another machine", nil, published(everywhere(first)), published(everywhere(first)), elsewhere, elsewhere, false},
		{"to a target", nil, published(everywhere(first)), published(everywhere(first)), host, first, false},
		{"to a former target", published(everywhere(first)), published(everywhere(second)), published(everywhere(second)), host, first, true},
		{"to the target of a port that is published no more", published(everywhere(first)), nil, nil, host, first, true},
		{"untranslated, to a port that is published no more", published(everywhere(first)), nil, nil, host, host, false},
		{"to another program's target of a port that is published no more", published(everywhere(first)), nil, nil, host, second, false},
		{"to a port that one address has from now on", nil, published(here), published(here, everywhere(first)), host, first, true},
		{"to the single address of the port that all addresses have", nil, published(everywhere(first)), published(here, everywhere(first)), host, second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			enter(t, newNamespace(t), func() {
				addAddr(t, "lo", netip.PrefixFrom(host, 32))
				track(t, 1, client, tt.to, tt.answers, client)
				flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, inetFamily(client))
				must(t, err)
				own, err := ownAddrs()
				must(t, err)
				s := strayFlows{was: changedPorts(tt.removed, tt.added), now: tt.now.targetsByPort()}
				if got := len(flows) == 1 && s.has(flows[0], own); got != tt.want {
					t.Errorf("has returned %v, want %v", got, tt.want)
				}
			})
		})
	}
}
