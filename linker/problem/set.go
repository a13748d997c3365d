package problem

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Set has the problems of a host that hold now. Its methods may be called from any
// goroutine.
type Set struct {
	log *slog.Logger

	mu  sync.Mutex
	now map[string][]Problem // by the name of the kind, sorted by subject
}

// NewSet returns an empty Set, which logs what begins and ends to log.
func NewSet(log *slog.Logger) *Set { return &Set{log: log, now: map[string][]Problem{}} }

// Report says that the condition k holds, with the reason, or that it does not, with nil.
// The problems of k are afterwards those of err alone: one for each subject, where err
// joins several errors (see About and Found), at most 10. Report logs every new reason.
func (s *Set) Report(k Kind, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.now[k.Name]
	delete(s.now, k.Name)
	if err != nil {
		s.now[k.Name] = s.problems(k, err, before)
	}
	for _, p := range before {
		if at(s.now[k.Name], p.Subject) == nil {
			s.log.Info("a problem has ended", "problem", p.Name, "subject", p.Subject)
		}
	}
}

// problems returns those of err, and logs what is new in them. s.mu is held.
func (s *Set) problems(k Kind, err error, before []Problem) []Problem {
	log := s.log.Warn
	if k.Severity == Outage {
		log = s.log.Error
	}
	var out []Problem
	for _, f := range found(err) {
		p := New(k, f)
		p.Since = time.Now().UTC().Truncate(time.Second)
		old := at(before, p.Subject)
		if old != nil {
			p.Since = old.Since
		}
		if old == nil || old.Reason != p.Reason {
			log(k.Meaning, "problem", p.Name, "subject", p.Subject, "reason", p.Reason, "remedy", p.Remedy)
		}
		out = append(out, p)
	}
	return out
}

func at(all []Problem, subject string) *Problem {
	i := slices.IndexFunc(all, func(p Problem) bool { return p.Subject == subject })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// List returns the problems in the order of Compare.
func (s *Set) List() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Problem
	for _, of := range s.now {
		out = append(out, of...)
	}
	slices.SortFunc(out, Compare)
	return out
}

// Ready reports whether no problem has the severity Outage.
func (s *Set) Ready() bool { return !AnyOutage(s.List()) }
