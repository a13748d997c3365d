package gossip

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"tombolo/internal/wake"
)

// Events is told of members that come and go, one call at a time. A member that
// changes several times during a call is reported once, in its latest state.
type Events interface {
	Alive(Member) // it joined, came back, or changed its address
	Dead(Member)  // it no longer answers
}

// State tells whether a member answers, as this member sees it.
type State string

// The states of a member.
const (
	StateAlive State = "alive"
	StateDead  State = "dead" // it does not answer, or has not been met yet
)

// Member is another member of the cluster.
type Member struct {
	Name  string
	Addr  netip.AddrPort
	State State
}

// Conflict is a name that two machines claim. The holder was there first, as this
// member sees it.
type Conflict struct {
	Name          string
	Holder, Other netip.AddrPort
	Seen          time.Time
}

// membership keeps every member ever known, because memberlist forgets the dead. It
// receives memberlist's events. memberlist holds locks during these calls, so Events
// are called from reportEvents instead.
type membership struct {
	self   string
	events Events
	log    *slog.Logger
	counts *counters

	changed  wake.Signal // unreported is not empty
	revived  wake.Signal // a member came to life
	vanished wake.Signal // a member died

	mu         sync.Mutex
	conflicts  map[string]Conflict // by name
	known      map[string]*peer
	aliveCount int
	unreported []string // names of members that changed, by the time of their first unreported change
	returned   []string // names that came to life since cameBack was called
}

type peer struct {
	Member
	node       *memberlist.Node // for memberlist's send methods; nil until the peer is met
	unreported bool
}

func newMembership(cfg Config, ev Events, counts *counters) *membership {
	m := &membership{
		self: cfg.Name, events: ev, log: cfg.Log, counts: counts,
		known: map[string]*peer{}, conflicts: map[string]Conflict{},
		changed: wake.NewSignal(), revived: wake.NewSignal(), vanished: wake.NewSignal(),
	}
	for name, addr := range cfg.Known {
		if name != cfg.Name {
			m.known[name] = &peer{Member: Member{Name: name, Addr: addr, State: StateDead}}
		}
	}
	return m
}

// NotifyJoin implements memberlist.EventDelegate.
func (m *membership) NotifyJoin(n *memberlist.Node) { m.update(n, StateAlive) }

// NotifyUpdate implements memberlist.EventDelegate.
func (m *membership) NotifyUpdate(n *memberlist.Node) { m.update(n, StateAlive) }

// NotifyLeave implements memberlist.EventDelegate.
func (m *membership) NotifyLeave(n *memberlist.Node) { m.update(n, StateDead) }

// NotifyConflict implements memberlist.ConflictDelegate. memberlist lets the machine
// that was there first keep the name.
func (m *membership) NotifyConflict(existing, other *memberlist.Node) {
	c := Conflict{Name: existing.Name, Holder: addrPort(existing), Other: addrPort(other), Seen: time.Now()}
	m.mu.Lock()
	m.conflicts[c.Name] = c
	m.mu.Unlock()
	n := m.counts.conflicts.Add(1)
	if n&(n-1) == 0 { // log the 1st, 2nd, 4th, 8th…: while a conflict lasts, it is found about every second
		m.log.Warn("two hosts claim one name", "host", c.Name, "holder", c.Holder, "other", c.Other, "times", n)
	}
}

func (m *membership) update(n *memberlist.Node, s State) {
	if n.Name == m.self {
		return
	}
	if string(n.Meta) != memberMeta {
		return // garbage that looks like news of a member
	}
	node := *n
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.known[n.Name]
	if p == nil {
		p = &peer{Member: Member{Name: n.Name}}
		m.known[n.Name] = p
	}
	p.Addr, p.node = addrPort(n), &node
	m.setState(p, s)
}

// setState sets the state of p and has it reported. m.mu is held.
func (m *membership) setState(p *peer, s State) {
	switch old := p.State; {
	case old == s:
	case s == StateAlive:
		m.aliveCount++
		m.returned = append(m.returned, p.Name)
		m.revived.Notify()
	case old == StateAlive:
		m.aliveCount--
		m.vanished.Notify()
	}
	p.State = s
	if !p.unreported {
		p.unreported = true
		m.unreported = append(m.unreported, p.Name)
	}
	m.changed.Notify()
}

// reportEvents calls Events until ctx ends.
func (m *membership) reportEvents(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.changed:
		}
		for _, member := range m.takeUnreported() {
			if member.State == StateAlive {
				m.events.Alive(member)
			} else {
				m.events.Dead(member)
			}
		}
	}
}

func (m *membership) takeUnreported() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Member, len(m.unreported))
	for i, name := range m.unreported {
		m.known[name].unreported = false
		all[i] = m.known[name].Member
	}
	m.unreported = nil
	return all
}

func (m *membership) members() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Member, 0, len(m.known))
	for _, p := range m.known {
		all = append(all, p.Member)
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// alive returns the number of living members, without this one.
func (m *membership) alive() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.aliveCount
}

// pick returns up to n living members, at random if there are more.
func (m *membership) pick(n int) []*memberlist.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*memberlist.Node, 0, m.aliveCount)
	for _, p := range m.known {
		if p.State == StateAlive {
			all = append(all, p.node)
		}
	}
	return sample(all, n)
}

// node returns a living member, or nil.
func (m *membership) node(name string) *memberlist.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.known[name]; p != nil && p.State == StateAlive {
		return p.node
	}
	return nil
}

// deadAddrs returns the addresses of the members that are not alive.
func (m *membership) deadAddrs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(m.known)) {
		if p := m.known[name]; p.State == StateDead && p.Addr.IsValid() {
			all = append(all, p.Addr.String())
		}
	}
	return all
}

// cameBack returns one, at random, of the members that came to life since the last
// call, or "".
func (m *membership) cameBack() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.returned) == 0 {
		return ""
	}
	name := m.returned[rand.N(len(m.returned))]
	m.returned = nil
	return name
}

// conflicting returns the conflicts seen within the last age, by name, and forgets the
// others.
func (m *membership) conflicting(age time.Duration) []Conflict {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.conflicts, func(_ string, c Conflict) bool { return time.Since(c.Seen) > age })
	return slices.SortedFunc(maps.Values(m.conflicts), func(a, b Conflict) int { return strings.Compare(a.Name, b.Name) })
}

// sample returns up to n elements of all, which it shuffles if there are more.
func sample[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:n]
}

func addrPort(n *memberlist.Node) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(addr.Unmap(), n.Port)
}
