package linker

import (
	"errors"
	"maps"
	"net/netip"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tombolo/internal/state"
	"tombolo/linker/block"
)

// stateFile keeps what a linker has to know about its last run. Every change is safe
// from a power cut when update returns, because nobody else could tell it again.
type stateFile struct {
	path     string
	problems *problems

	mu  sync.Mutex
	doc stateDocument
}

type stateDocument struct {
	Epoch uint64 `json:"epoch"` // larger than that of any record ever issued
	block.Claim
	Members map[string]netip.AddrPort `json:"members"` // gossip addresses of all hosts ever met, by name

	// Suspended hosts stay suspended over a restart until they answer. Otherwise DNS
	// would give out the addresses of their containers until gossip finds them dead again.
	Suspended []string `json:"suspended,omitempty"`
}

// openState reads the last run's state and enters a new epoch, which is larger than the
// stored one and not below the clock's. A broken file is moved aside and logged.
func openState(cfg Config, problems *problems) (*stateFile, error) {
	s := &stateFile{path: filepath.Join(cfg.StateDir, "linker.json"), problems: problems}
	if err := state.Load(s.path, &s.doc); err != nil {
		if !errors.Is(err, state.ErrBroken) {
			return nil, err
		}
		cfg.Log.Warn("the linker starts without the state of its last run", "err", err)
		s.doc = stateDocument{}
	}
	if s.doc.Members == nil {
		s.doc.Members = map[string]netip.AddrPort{}
	}
	s.doc.Epoch = max(s.doc.Epoch+1, uint64(time.Now().Unix()))
	err := s.save()
	if diskFull(err) {
		cfg.Log.Error("the disk is full: the next run will know little about this one", "err", err)
		return s, nil
	}
	return s, err
}

// diskFull reports whether err only says that the disk is full. The linker goes on then:
// containers are linked all the same, and peers remember most of what a restart needs.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// get returns the state. Nobody changes its map and slice.
func (s *stateFile) get() stateDocument {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc
}

// update changes the state and writes it. It reports a file that cannot be written.
func (s *stateFile) update(change func(*stateDocument)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.doc)
	s.problems.report(stateProblem, s.save())
}

func (s *stateFile) save() error { return state.Save(s.path, s.doc, true) }

func (s *stateFile) saveClaim(c block.Claim) { s.update(func(d *stateDocument) { d.Claim = c }) }

// saveMember keeps where a host's gossip listens.
func (s *stateFile) saveMember(name string, addr netip.AddrPort) {
	if s.get().Members[name] == addr {
		return
	}
	s.update(func(d *stateDocument) {
		d.Members = maps.Clone(d.Members) // get has given the old map away
		d.Members[name] = addr
	})
}
