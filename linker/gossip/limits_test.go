package gossip

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"
)

func TestMembersAreBounded(t *testing.T) {
	var counts counters
	m := newMembership(Config{Name: "h1"}.withDefaults(), &counts)
	node := func(name, meta string) *memberlist.Node {
		return &memberlist.Node{Name: name, Addr: net.IPv4(127, 0, 0, 1), Port: 1, Meta: []byte(meta)}
	}
	for i := range MaxMembers + 100 {
		if n := node(fmt.Sprint("x", i), memberMeta); m.NotifyAlive(n) == nil {
			m.NotifyJoin(n)
		}
	}
	if n := len(m.members()); n != MaxMembers {
		t.Errorf("%d members are known, want %d", n, MaxMembers)
	}
	if reasons := counts.refused.take(); counts.refused.number() != 100 || len(reasons) != 1 || !errors.Is(reasons[0], errLimit) {
		t.Errorf("%d members were refused because of %v, want 100 because of one limit", counts.refused.number(), reasons)
	}
	for what, n := range map[string]*memberlist.Node{
		"this member itself":       node("h1", "anything"),
		"a member that was known":  node("x7", memberMeta),
		"a known one, other place": {Name: "x7", Addr: net.IPv4(127, 0, 0, 2), Port: 1, Meta: []byte(memberMeta)},
	} {
		if err := m.NotifyAlive(n); err != nil {
			t.Errorf("%s is refused: %v", what, err)
		}
	}
	m = newMembership(Config{Name: "h1"}.withDefaults(), &counts)
	for what, n := range map[string]*memberlist.Node{
		"no name": node("", memberMeta), "a long name": node(strings.Repeat("n", 64), memberMeta), "other metadata": node("h2", "x"),
	} {
		if err := m.NotifyAlive(n); err == nil {
			t.Errorf("a member with %s is not refused", what)
		}
	}
}

func TestWorkForPeersIsBounded(t *testing.T) {
	r := newRepairs()
	const size = 1 << 20
	taken := 0
	for i := range 2 * MaxWaiting / size {
		if r.add(fmt.Sprint("h", i), job{digest: make([]byte, size)}) {
			taken++
		}
	}
	if want := MaxWaiting / size; taken != want {
		t.Errorf("%d digests of 1 MiB wait, want %d", taken, want)
	}
	peer, j := r.next()
	if peer == "" || len(j.digest) != size {
		t.Fatalf("the next job is that of %q with a digest of %d bytes, want one of %d", peer, len(j.digest), size)
	}
	if !r.add("later", job{packets: [][]byte{make([]byte, size)}}) {
		t.Error("a job is dropped although another one has left room")
	}
	for r.bytes > 0 {
		if peer, _ = r.next(); peer == "" {
			t.Fatalf("no job is left, but %d bytes are counted", r.bytes)
		}
	}
	for i := range MaxMembers + 1 {
		r.add(fmt.Sprint("x", i), job{answer: true})
	}
	if len(r.order) > MaxMembers {
		t.Errorf("jobs wait for %d peers, want at most %d", len(r.order), MaxMembers)
	}
}

func TestPacketsForTheRoundsAreBounded(t *testing.T) {
	g, err := New(Config{Name: "h1", Bind: netip.MustParseAddrPort("127.0.0.1:7980")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range MaxQueued + 100 {
		g.enqueue(fmt.Sprint("x", i), []byte("packet"))
	}
	if n := g.queue.NumQueued(); n != MaxQueued {
		t.Errorf("%d packets are queued, want %d", n, MaxQueued)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	tr := &transport{counts: &counters{}, conns: map[net.Conn]bool{}}
	var open []net.Conn
	for range MaxStreams + 10 { // of simulated peers, which have no address
		here, there := net.Pipe()
		t.Cleanup(func() { there.Close() })
		if c, ok := tr.acceptStream(here); ok {
			open = append(open, c)
		}
	}
	if len(open) != MaxStreams || tr.counts.refused.number() != 10 {
		t.Errorf("%d streams are open and %d were refused, want %d and 10", len(open), tr.counts.refused.number(), MaxStreams)
	}
	open[0].Close()
	open[0].Close() // as memberlist may do
	here, there := net.Pipe()
	t.Cleanup(func() { there.Close() })
	c, ok := tr.acceptStream(here)
	if !ok {
		t.Fatal("a stream is refused although another one has left room")
	}
	if here, _ := net.Pipe(); true {
		if _, ok := tr.acceptStream(here); ok {
			t.Error("closing one stream twice made room for two")
		}
	}
	c.(*conn).check = func(*bufio.Reader) error { return nil }
	go func() {
		endless := make([]byte, 64<<10)
		for {
			if _, err := there.Write(endless); err != nil {
				return
			}
		}
	}()
	if n, err := io.Copy(io.Discard, c); n > MaxStreamBytes || err != nil {
		t.Errorf("%d bytes were read from an endless stream (%v), want at most %d", n, err, MaxStreamBytes)
	}
}

// memberlist reads all of an encrypted message before it finds out whether it has a key.
func TestFilterRefusesLongEncryptedStreams(t *testing.T) {
	secret := filter{label: "tombolo", encrypted: true}
	for length, want := range map[uint32]bool{100: true, MaxStreamBytes: true, MaxStreamBytes + 1: false, 20 << 20: false} {
		b := label("tombolo", binary.BigEndian.AppendUint32([]byte{typeEncrypt}, length)...)
		if err := secret.stream(bufio.NewReader(strings.NewReader(string(b)))); (err == nil) != want {
			t.Errorf("the filter returns %v for an encrypted stream of %d bytes, want it accepted: %v", err, length, want)
		}
	}
}
