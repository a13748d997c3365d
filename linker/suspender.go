package linker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/record"
)

// firstContact is how long a host that this run has not met yet may take to answer. The
// linker knows such a host from its catalog file or from another host's catalog.
const firstContact = 5 * time.Second

// longestRestart bounds the time that peers wait for a host that announced a restart.
const longestRestart = 5 * time.Minute

// suspender suspends the records of hosts that do not answer, and resumes those of hosts
// that answer again.
type suspender struct {
	self   string
	gossip interface {
		Members() []gossip.Member
		Watch() (changes <-chan struct{}, cancel func())
		Forget(name string)
	}
	catalog *catalog.Catalog
	state   *stateFile
	names   nameConflicts
	times   *hostTimes
	log     *slog.Logger

	met    map[string]gossip.Member // hosts that were alive during this run, as last seen
	silent map[string]time.Time     // since when a host does not answer
}

// run suspends and resumes until ctx ends.
func (s *suspender) run(ctx context.Context) error {
	changes, stop := s.gossip.Watch()
	defer stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		case <-tick.C:
		}
		s.forget()
		s.meet()
		s.names.report()
		s.review(time.Now())
		s.times.note(statesOf(s.catalog.Snapshot()), time.Now())
	}
}

// meet logs hosts that came to life, and keeps their addresses for the next run.
func (s *suspender) meet() {
	forgotten := s.catalog.Snapshot().Forgotten
	for _, m := range s.gossip.Members() {
		if _, gone := forgotten[m.Name]; gone {
			continue
		}
		last, met := s.met[m.Name]
		if m.Alive && m != last {
			s.log.Info("host alive", "host", m.Name, "addr", m.Addr)
			s.state.saveMember(m.Name, m.Addr)
		}
		if met || m.Alive {
			s.met[m.Name] = m
		}
	}
}

// forget no longer counts and dials hosts that were forgotten.
func (s *suspender) forget() {
	known := s.state.get().Members
	for key := range s.catalog.Snapshot().Forgotten {
		s.gossip.Forget(key)
		if _, ok := known[key]; ok {
			s.state.forgetMember(key)
		}
	}
}

// review compares the hosts of the catalog with those that answer.
func (s *suspender) review(now time.Time) {
	snapshot := s.catalog.Snapshot()
	for name, h := range snapshot.Hosts {
		last, met := s.met[name]
		switch {
		case name == s.self:
		case last.Alive:
			delete(s.silent, name)
			s.catalog.Resume(name)
		case snapshot.Suspended[name]:
		case s.overdue(h, now):
			s.log.Warn("host suspended", "host", name, "met", met)
			s.catalog.Suspend(name)
		}
	}
	suspended := slices.Sorted(maps.Keys(s.catalog.Snapshot().Suspended))
	if !slices.Equal(suspended, s.state.get().Suspended) {
		s.state.update(func(d *stateDocument) { d.Suspended = suspended })
	}
}

// overdue reports whether a host that does not answer should be suspended now. A host
// that announced a restart has the announced time, a host not met yet firstContact.
func (s *suspender) overdue(h *record.Host, now time.Time) bool {
	since, ok := s.silent[h.Key()]
	if !ok {
		since = now
		s.silent[h.Key()] = now
	}
	_, met := s.met[h.Key()]
	silent := now.Sub(since)
	restarting := silent < min(h.Restarting, longestRestart)
	return !restarting && (met || silent >= firstContact)
}
