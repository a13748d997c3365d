package gossip

import (
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

// Member is another member of the cluster.
type Member struct {
	Name  string
	Addr  netip.AddrPort
	Alive bool // as this member sees it; false: it does not answer, or has not been met yet
}

// Conflict is a name that two machines claim. The holder was there first, as this
// member sees it.
type Conflict struct {
	Name          string
	Holder, Other netip.AddrPort
	Seen          time.Time
}

// membership keeps every member ever known, because memberlist forgets the dead. It
// implements memberlist's EventDelegate and ConflictDelegate.
type membership struct {
	self   string
	log    *slog.Logger
	counts *counters

	changed  wake.Broadcast
	revived  wake.Signal // a member came to life
	vanished wake.Signal // a member died

	mu         sync.Mutex
	conflicts  map[string]Conflict // by name
	known      map[string]*peer
	aliveCount int
	returned   []string // names that came to life since cameBack was called
}

type peer struct {
	Member
	node *memberlist.Node // for memberlist's send methods; nil until the peer is met
}

func newMembership(cfg Config, counts *counters) *membership {
	m := &membership{
		self: cfg.Name, log: cfg.Log, counts: counts,
		known: map[string]*peer{}, conflicts: map[string]Conflict{},
		revived: wake.NewSignal(), vanished: wake.NewSignal(),
	}
	for name, addr := range cfg.Known {
		if name != cfg.Name {
			m.known[name] = &peer{Member: Member{Name: name, Addr: addr}}
		}
	}
	return m
}

func (m *membership) NotifyJoin(n *memberlist.Node)   { m.update(n, true) }
func (m *membership) NotifyUpdate(n *memberlist.Node) { m.update(n, true) }
func (m *membership) NotifyLeave(n *memberlist.Node)  { m.update(n, false) }

// NotifyConflict notes a conflict. memberlist lets the machine that was there first keep
// the name.
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

func (m *membership) update(n *memberlist.Node, alive bool) {
	if n.Name == m.self || string(n.Meta) != memberMeta { // other metadata: garbage that looks like news of a member
		return
	}
	node := *n
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.known[n.Name]
	if p == nil {
		p = &peer{Member: Member{Name: n.Name}}
		m.known[n.Name] = p
	}
	switch {
	case p.Alive == alive:
	case alive:
		m.aliveCount++
		m.returned = append(m.returned, p.Name)
		m.revived.Notify()
	default:
		m.aliveCount--
		m.vanished.Notify()
	}
	p.Addr, p.node, p.Alive = addrPort(n), &node, alive
	m.changed.Notify()
}

// forget removes a member that is not alive, so that it is no longer dialled.
func (m *membership) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.known[name]; p != nil && !p.Alive {
		delete(m.known, name)
		m.changed.Notify()
	}
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
		if p.Alive {
			all = append(all, p.node)
		}
	}
	return sample(all, n)
}

// node returns a living member, or nil.
func (m *membership) node(name string) *memberlist.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.known[name]; p != nil && p.Alive {
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
		if p := m.known[name]; !p.Alive && p.Addr.IsValid() {
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
