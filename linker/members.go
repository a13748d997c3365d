package linker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tombolo/linker/gossip"
	"tombolo/linker/record"
)

// metWithin is how long a host that this linker knows by its record alone, from
// before a restart or from another's catalog, has to show that it lives.
const metWithin = 5 * time.Second

// longestRestart bounds the time that a host may ask for, whose clock may be wrong.
const longestRestart = 5 * time.Minute

// members turns gossip's view of who is there into suspensions.
type members struct {
	l      *Linker
	change chan gossip.Member // unbuffered: events come one at a time, in order
	met    map[string]bool    // hosts that were alive during this run
	silent map[string]time.Time
}

func newMembers(l *Linker) *members {
	return &members{l: l, change: make(chan gossip.Member), met: map[string]bool{}, silent: map[string]time.Time{}}
}

// Alive implements gossip.Events.
func (m *members) Alive(g gossip.Member) { m.tell(g) }

// Dead implements gossip.Events.
func (m *members) Dead(g gossip.Member) { m.tell(g) }

func (m *members) tell(g gossip.Member) {
	select {
	case m.change <- g:
	case <-m.l.ended:
	}
}

// run suspends the records of hosts that do not answer, and resumes those of hosts
// that do.
func (m *members) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case g := <-m.change:
			if g.State == gossip.StateAlive {
				m.remember(g)
			}
		case <-tick.C:
		}
		m.l.reportConflicts()
		m.review(time.Now())
	}
}

func (m *members) remember(g gossip.Member) {
	m.met[g.Name] = true
	m.l.log.Info("host alive", "host", g.Name, "addr", g.Addr)
	if err := m.l.saved.member(g.Name, g.Addr); err != nil {
		m.l.log.Warn("cannot remember a host", "host", g.Name, "err", err)
	}
}

// review compares the hosts of the catalog with who is there.
func (m *members) review(now time.Time) {
	states := map[string]gossip.State{}
	for _, g := range m.l.gossip.Members() {
		states[g.Name] = g.State
	}
	s := m.l.catalog.Snapshot()
	changed := false
	for name, h := range s.Hosts {
		switch {
		case name == m.l.cfg.Host:
		case states[name] == gossip.StateAlive:
			delete(m.silent, name)
			changed = changed || s.Suspended[name]
			m.l.catalog.Resume(name)
		case s.Suspended[name]:
		case m.overdue(h, now):
			m.l.log.Warn("host suspended", "host", name, "state", string(states[name]))
			m.l.catalog.Suspend(name)
			changed = true
		}
	}
	if changed {
		suspended := slices.Sorted(maps.Keys(m.l.catalog.Snapshot().Suspended))
		m.l.keep(func(d *savedDoc) { d.Suspended = suspended })
	}
}

// overdue reports whether a host that is not alive is to be suspended now. One
// that announced a restart has until then, and one not met yet has metWithin.
func (m *members) overdue(h *record.Host, now time.Time) bool {
	since, ok := m.silent[h.Name]
	if !ok {
		since = now
		m.silent[h.Name] = now
	}
	restarting := !now.After(h.Restart) && now.Sub(since) < longestRestart
	return !restarting && (m.met[h.Name] || now.Sub(since) >= metWithin)
}

// conflictAge is how long a conflict of names is reported after it was last seen:
// somewhat longer than the time between two digest exchanges.
const conflictAge = 45 * time.Second

// reportConflicts says which names two machines claim.
func (l *Linker) reportConflicts() {
	var errs []error
	for _, c := range l.gossip.Conflicts(conflictAge) {
		errs = append(errs, conflictError(l.cfg.Host, c))
	}
	if err := errors.Join(errs...); l.problems.set("hosts", err) && err != nil {
		l.log.Error("two machines have one name", "err", err)
	}
}

func conflictError(self string, c gossip.Conflict) error {
	if c.Name == self {
		return fmt.Errorf("another machine, %s, calls itself %s too: give one of the two another name with --host", c.Other.Addr(), c.Name)
	}
	return fmt.Errorf("%s and %s both call themselves %s: give one of the two another name with --host", c.Holder.Addr(), c.Other.Addr(), c.Name)
}

// named waits, as long as another machine has this one's name, so that a newcomer
// takes nothing away from who was there first.
func (l *Linker) named(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for slices.ContainsFunc(l.gossip.Conflicts(conflictAge), func(c gossip.Conflict) bool { return c.Name == l.cfg.Host }) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
