package linker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/record"
)

// firstContact is how long a host that this run has not met yet may take to answer. The
// linker knows such a host from its catalog file or from another host's catalog.
const firstContact = 5 * time.Second

// longestRestart bounds the time that peers wait for a host that announced a restart,
// because that host's clock may be wrong.
const longestRestart = 5 * time.Minute

// memberEvents queues the gossip's events for the suspender.
type memberEvents struct{ *wake.Queue[gossip.Member] }

// Alive implements gossip.Events.
func (e memberEvents) Alive(m gossip.Member) { e.Put(m) }

// Dead implements gossip.Events.
func (e memberEvents) Dead(m gossip.Member) { e.Put(m) }

// suspender suspends the records of hosts that do not answer, and resumes those of hosts
// that answer again.
type suspender struct {
	self    string
	events  memberEvents
	gossip  interface{ Members() []gossip.Member }
	catalog *catalog.Catalog
	state   *stateFile
	names   nameConflicts
	log     *slog.Logger

	met    map[string]bool      // hosts that were alive during this run
	silent map[string]time.Time // since when a host does not answer
}

// run suspends and resumes until ctx ends.
func (s *suspender) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.events.Ready():
		case <-tick.C:
		}
		for _, m := range s.events.Take() {
			if m.State == gossip.StateAlive {
				s.met[m.Name] = true
				s.log.Info("host alive", "host", m.Name, "addr", m.Addr)
				s.state.saveMember(m.Name, m.Addr)
			}
		}
		s.names.report()
		s.review(time.Now())
	}
}

// review compares the hosts of the catalog with those that answer.
func (s *suspender) review(now time.Time) {
	states := map[string]gossip.State{}
	for _, m := range s.gossip.Members() {
		states[m.Name] = m.State
	}
	snapshot := s.catalog.Snapshot()
	changed := false
	for name, h := range snapshot.Hosts {
		switch {
		case name == s.self:
		case states[name] == gossip.StateAlive:
			delete(s.silent, name)
			changed = changed || snapshot.Suspended[name]
			s.catalog.Resume(name)
		case snapshot.Suspended[name]:
		case s.overdue(h, now):
			s.log.Warn("host suspended", "host", name, "state", string(states[name]))
			s.catalog.Suspend(name)
			changed = true
		}
	}
	if changed {
		suspended := slices.Sorted(maps.Keys(s.catalog.Snapshot().Suspended))
		s.state.update(func(d *stateDocument) { d.Suspended = suspended })
	}
}

// overdue reports whether a host that does not answer should be suspended now. A host
// that announced a restart has until the announced time, a host not met yet firstContact.
func (s *suspender) overdue(h *record.Host, now time.Time) bool {
	since, ok := s.silent[h.Name]
	if !ok {
		since = now
		s.silent[h.Name] = now
	}
	restarting := !now.After(h.Restart) && now.Sub(since) < longestRestart
	return !restarting && (s.met[h.Name] || now.Sub(since) >= firstContact)
}
