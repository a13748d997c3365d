package gossip_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombolo/linker/gossip"
	"tombolo/linker/gossip/gossiptest"
)

// member is a Gossip on real sockets that runs until the test ends.
type member struct {
	*gossip.Gossip
	table *gossiptest.Table
	addr  string
}

// freePort returns a port that is free now on every address of 127.0.0.0/8.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func run(t *testing.T, n int, port uint16) *member {
	t.Helper()
	bind := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(n)}), port)
	m := &member{table: gossiptest.NewTable(), addr: bind.String()}
	g, err := gossip.New(gossip.Config{
		Name: nameOf(n), Bind: bind, Seeds: []string{fmt.Sprintf("127.0.0.1:%d", port)},
		Gossip: 20 * time.Millisecond, PushPull: 500 * time.Millisecond, Reconnect: 100 * time.Millisecond,
	}, m.table)
	if err != nil {
		t.Fatal(err)
	}
	m.Gossip = g
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run of %s returned %v after its context had ended, want nil", m.addr, err)
		}
	})
	select {
	case <-g.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return m
}

// await waits until ok is true of the member's rows.
func (m *member) await(t *testing.T, what string, ok func(map[string]string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if !m.table.Wait(ctx.Done(), ok) {
		t.Fatalf("%s never got the %s; its rows are %v, its members %v", m.addr, what, m.table.Rows(), m.Members())
	}
}

// awaitMembers waits until the member knows n others, because Ready promises only the
// seed.
func (m *member) awaitMembers(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for len(m.Members()) != n {
		select {
		case <-ctx.Done():
			t.Fatalf("%s knows the members %v, want %d", m.addr, m.Members(), n)
		case <-look.C:
		}
	}
}

// Garbage on the port is counted, changes nothing and delays nothing.
func TestGarbageChangesNothing(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	port := freePort(t)
	members := []*member{run(t, 1, port), run(t, 2, port), run(t, 3, port)}
	members[0].Broadcast("before", members[0].table.Put("before", "1"))
	for _, m := range members {
		m.await(t, "row before", func(rows map[string]string) bool { return rows["before"] == "1" })
		m.awaitMembers(t, 2)
	}

	target := members[1]
	spray(t, target.addr)
	idle, err := net.Dial("tcp", target.addr) // Run must close a connection on which nothing is sent
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { idle.Close() })

	members[2].Broadcast("after", members[2].table.Put("after", "1"))
	for _, m := range members {
		m.await(t, "row after", func(rows map[string]string) bool { return rows["after"] == "1" })
		if rows := m.table.Rows(); len(rows) != 2 {
			t.Errorf("%s has the rows %v, want 2", m.addr, rows)
		}
		if others := m.Members(); len(others) != 2 {
			t.Errorf("%s knows the members %v, want 2", m.addr, others)
		}
	}
	if n := target.Counters()["malformed"]; n < 100 {
		t.Errorf("the member counted %d malformed messages, want most of 240", n)
	}
}

// spray sends messages that no member sends; some of them are almost right.
func spray(t *testing.T, addr string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	label := "\xf4\x07tombolo"
	heads := []string{
		"", label, label + "\x08", label + "\x08\x01", label + "\x07\xff", label + "\x09", label + "\x0c\x00\x00\x00\x00",
		label + "\x04", label + "\x06\x81\xa5Nodes\xd3\x7f\xff\xff\xff\xff\xff\xff\xff",
		label + "\x08\x81\xaaUserMsgLen\xd3\x7f\xff\xff\xff\xff\xff\xff\xff",
	}
	udp, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for i := range 200 {
		b := []byte(heads[i%len(heads)])
		for range rng.IntN(600) {
			b = append(b, byte(rng.Uint32()))
		}
		if _, err := udp.Write(b); err != nil {
			t.Fatal(err)
		}
		if i%5 != 0 {
			continue
		}
		tcp, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = tcp.Write(b) // the member may have closed it already
		tcp.Close()
	}
}

// A stranger opens connections and makes up members. Only so many are kept.
func TestStrangersExhaustNothing(t *testing.T) {
	t.Cleanup(func() {
		// After its Shutdown memberlist still waits, some seconds, for the answer of a made-up member.
		for late := time.Now().Add(20 * time.Second); goleak.Find() != nil && time.Now().Before(late); {
		}
		goleak.VerifyNone(t)
	})
	port := freePort(t)
	members := []*member{run(t, 1, port), run(t, 2, port)}
	for _, m := range members {
		m.awaitMembers(t, 1)
	}
	target := members[0]
	stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	closed := make(chan bool)
	const tries = 10 * gossip.MaxStreamsFrom
	for range tries {
		c, err := stranger.Dial("tcp", target.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			_ = c.SetReadDeadline(time.Now().Add(time.Second)) // members keep an idle connection for 5 s
			_, err := c.Read(make([]byte, 1))
			closed <- !errors.Is(err, os.ErrDeadlineExceeded)
		}()
	}
	kept := 0
	for range tries {
		if !<-closed {
			kept++
		}
	}
	if kept > gossip.MaxStreamsFrom {
		t.Errorf("%d connections of one address were kept, want at most %d", kept, gossip.MaxStreamsFrom)
	}
	if reasons := target.Refused(); len(reasons) != 1 || !strings.Contains(reasons[0].Error(), "connections from 127.0.0.9") {
		t.Errorf("refused for the reasons %v, want one that names 127.0.0.9", reasons)
	}
	members[1].Broadcast("after", members[1].table.Put("after", "1"))
	target.await(t, "row after", func(rows map[string]string) bool { return rows["after"] == "1" })

	// Made-up members slow the spread of news, because they are sent some: only a key prevents that.
	udp, err := net.Dial("udp", target.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	full := func() bool { return len(target.Members()) >= gossip.MaxMembers }
	for deadline, last := time.Now().Add(20*time.Second), false; !last; {
		last = full() || time.Now().After(deadline) // one more round when it is full
		for i := range gossip.MaxMembers + 200 {
			if _, err := udp.Write(newsOf(fmt.Sprint("made-up-", i))); err != nil {
				t.Fatal(err)
			}
			if i%100 == 0 {
				time.Sleep(5 * time.Millisecond) // the pace of the traffic: memberlist drops what it cannot queue
			}
		}
	}
	if n := len(target.Members()); n != gossip.MaxMembers {
		t.Errorf("%d members are known, want %d", n, gossip.MaxMembers)
	}
}

// newsOf returns news of a member, as memberlist writes it (state.go, MessagePack).
func newsOf(name string) []byte {
	text := func(s string) string { return string([]byte{0xa0 | byte(len(s))}) + s }
	return []byte("\xf4\x07tombolo\x04\x86" + text("Incarnation") + "\x01" + text("Node") + text(name) +
		text("Addr") + text("\x7f\x09\x09\x09") + text("Port") + "\x09" + text("Meta") + text("tombolo member") +
		text("Vsn") + text("\x01\x05\x02\x02\x05\x04"))
}

func TestRunFailsWhenThePortIsTaken(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g, err := gossip.New(gossip.Config{Name: "h1", Bind: netip.MustParseAddrPort(l.Addr().String())}, gossiptest.NewTable())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Run returned %v, want an error that says that the address is in use", err)
	}
}
