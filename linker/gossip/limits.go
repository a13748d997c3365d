package gossip

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
)

// The most that peers can make a member hold. A stranger who reaches the port of a cluster
// without a key can use up these amounts, but no more memory.
const (
	MaxMembers     = 2_000     // others that this member knows, dead ones included
	MaxStreams     = 128       // TCP connections that peers have open
	MaxStreamsFrom = 16        // of these, from one address
	MaxStreamBytes = 4 << 20   // that are read from one connection
	MaxWaiting     = 32 << 20  // bytes of large packets and digests that wait for peers
	MaxQueued      = 16 * 1024 // packets that wait for the rounds of gossip; the oldest leave first
)

// maxNameLength is the length of a DNS label: every name of a member is one.
const maxNameLength = 63

// maxReasons bounds the reasons that Refused returns.
const maxReasons = 10

var errLimit = errors.New("limit of the gossip")

// refusals are the reasons for which members and streams were refused.
type refusals struct {
	mu    sync.Mutex
	count uint64
	last  map[string]error // reasons since the last call of take, by their text
}

// add counts a refusal. Reasons must not contain what a stranger chooses.
func (r *refusals) add(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if r.last == nil {
		r.last = map[string]error{}
	}
	if len(r.last) < maxReasons {
		r.last[why.Error()] = why
	}
}

func (r *refusals) number() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

func (r *refusals) take() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	reasons := slices.Collect(maps.Values(r.last))
	clear(r.last)
	return reasons
}

// Refused returns the reasons for which members and connections were refused since the
// last call.
func (g *Gossip) Refused() []error { return g.counts.refused.take() }

// NotifyAlive implements memberlist.AliveDelegate: memberlist forgets a member for which it
// returns an error.
func (m *membership) NotifyAlive(n *memberlist.Node) error {
	if n.Name == m.self {
		return nil
	}
	if n.Name == "" || len(n.Name) > maxNameLength || string(n.Meta) != memberMeta {
		m.counts.malformed.Add(1)
		return errRefused
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[n.Name] == nil && len(m.known) >= MaxMembers {
		err := fmt.Errorf("%w: more than %d members", errLimit, MaxMembers)
		m.counts.refused.add(err)
		return err
	}
	return nil
}

// admission counts the connections that peers have open.
type admission struct {
	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

// enter counts a connection, which the caller passes to leave in the end. It returns an
// error if there are too many.
func (a *admission) enter(c net.Conn) error {
	from := source(c)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.all >= MaxStreams:
		return fmt.Errorf("%w: more than %d connections", errLimit, MaxStreams)
	case from.IsValid() && a.from[from] >= MaxStreamsFrom:
		return fmt.Errorf("%w: more than %d connections from %s", errLimit, MaxStreamsFrom, from)
	}
	if a.from == nil {
		a.from = map[netip.Addr]int{}
	}
	a.all++
	a.from[from]++
	return nil
}

func (a *admission) leave(c net.Conn) {
	from := source(c)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.from[from]--; a.from[from] == 0 {
		delete(a.from, from)
	}
}

// source returns the address of the peer; simulated connections have none.
func source(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}
