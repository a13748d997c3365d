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
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"tombolo/internal/wake"
)

// Events hears who comes and goes. Calls are made one at a time. A member that
// changes several times while a call lasts is told once, as it then is.
type Events interface {
	Alive(Member) // joined, came back, or changed its address
	Dead(Member)  // does not answer any more
}

// State is what this member thinks of another.
type State string

// The states of a member.
const (
	StateAlive State = "alive"
	StateDead  State = "dead" // or not met yet
)

// Member is another member of the cluster.
type Member struct {
	Name  string
	Addr  netip.AddrPort
	State State
}

// roster keeps every member ever known, which memberlist does not: it forgets the
// dead. memberlist calls it with locks held, so it calls nobody back: Events are
// told from a goroutine of their own.
type roster struct {
	self   string
	events Events
	log    *slog.Logger

	conflicts atomic.Uint64

	mu       sync.Mutex
	rivals   map[string]Conflict // by name
	known    map[string]*person
	living   int
	untold   []string // names, in the order of their first untold change
	back     []string // names that came (back) to life and were not compared with yet
	news     wake.Signal
	returned wake.Signal
	lost     wake.Signal
}

type person struct {
	Member
	node   *memberlist.Node // for memberlist's send methods; nil until met
	untold bool
}

func newRoster(cfg Config, ev Events) *roster {
	r := &roster{
		self: cfg.Name, events: ev, log: cfg.Log, known: map[string]*person{}, rivals: map[string]Conflict{},
		news: wake.NewSignal(), returned: wake.NewSignal(), lost: wake.NewSignal(),
	}
	for name, addr := range cfg.Known {
		if name != cfg.Name {
			r.known[name] = &person{Member: Member{Name: name, Addr: addr, State: StateDead}}
		}
	}
	return r
}

// NotifyJoin implements memberlist.EventDelegate.
func (r *roster) NotifyJoin(n *memberlist.Node) { r.note(n, StateAlive) }

// NotifyUpdate implements memberlist.EventDelegate.
func (r *roster) NotifyUpdate(n *memberlist.Node) { r.note(n, StateAlive) }

// NotifyLeave implements memberlist.EventDelegate.
func (r *roster) NotifyLeave(n *memberlist.Node) { r.note(n, StateDead) }

// Conflict is two machines that claim one name. The holder was there first, as this
// member sees it.
type Conflict struct {
	Name          string
	Holder, Other netip.AddrPort
	Seen          time.Time
}

// NotifyConflict implements memberlist.ConflictDelegate: two machines claim one
// name, and the one that was there first keeps it.
func (r *roster) NotifyConflict(existing, other *memberlist.Node) {
	c := Conflict{Name: existing.Name, Holder: addrPort(existing), Other: addrPort(other), Seen: time.Now()}
	r.mu.Lock()
	r.rivals[c.Name] = c
	r.mu.Unlock()
	n := r.conflicts.Add(1)
	if n&(n-1) == 0 { // the 1st, 2nd, 4th, 8th…: it is said every second or so while it lasts
		r.log.Warn("two hosts claim one name", "host", existing.Name,
			"holder", hostPort(existing), "other", hostPort(other), "times", n)
	}
}

func (r *roster) note(n *memberlist.Node, s State) {
	if n.Name == r.self {
		return
	}
	if string(n.Meta) != memberMark {
		return // garbage that looks like news of a member
	}
	node := *n
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.known[n.Name]
	if p == nil {
		p = &person{Member: Member{Name: n.Name}}
		r.known[n.Name] = p
	}
	p.Addr, p.node = addrPort(n), &node
	r.turn(p, s)
}

// turn gives p a state, and has it told.
func (r *roster) turn(p *person, is State) {
	switch was := p.State; {
	case was == is:
	case is == StateAlive:
		r.living++
		r.back = append(r.back, p.Name)
		r.returned.Notify()
	case was == StateAlive:
		r.living--
		r.lost.Notify()
	}
	p.State = is
	if !p.untold {
		p.untold = true
		r.untold = append(r.untold, p.Name)
	}
	r.news.Notify()
}

// tell calls Events until ctx is done.
func (r *roster) tell(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.news:
		}
		for _, m := range r.changed() {
			if m.State == StateAlive {
				r.events.Alive(m)
			} else {
				r.events.Dead(m)
			}
		}
	}
}

func (r *roster) changed() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Member, len(r.untold))
	for i, name := range r.untold {
		r.known[name].untold = false
		all[i] = r.known[name].Member
	}
	r.untold = nil
	return all
}

func (r *roster) members() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Member, 0, len(r.known))
	for _, p := range r.known {
		all = append(all, p.Member)
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (r *roster) alive() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.living
}

// pick returns up to n living members, at random when there are more.
func (r *roster) pick(n int) []*memberlist.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*memberlist.Node, 0, r.living)
	for _, p := range r.known {
		if p.State == StateAlive {
			all = append(all, p.node)
		}
	}
	if len(all) > n {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:n]
	}
	return all
}

// node returns a living member.
func (r *roster) node(name string) *memberlist.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.known[name]; p != nil && p.State == StateAlive {
		return p.node
	}
	return nil
}

// missing returns the addresses of members that are not alive.
func (r *roster) missing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.known)) {
		if p := r.known[name]; p.State == StateDead && p.Addr.IsValid() {
			all = append(all, p.Addr.String())
		}
	}
	return all
}

// cameBack returns, once, one at random of those that came to life since it was
// last asked.
func (r *roster) cameBack() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.back) == 0 {
		return ""
	}
	name := r.back[rand.N(len(r.back))]
	r.back = nil
	return name
}

// conflicting returns the conflicts seen not longer than age ago, by name, and
// forgets the others.
func (r *roster) conflicting(age time.Duration) []Conflict {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.rivals, func(_ string, c Conflict) bool { return time.Since(c.Seen) > age })
	return slices.SortedFunc(maps.Values(r.rivals), func(a, b Conflict) int { return strings.Compare(a.Name, b.Name) })
}

func addrPort(n *memberlist.Node) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(addr.Unmap(), n.Port)
}
