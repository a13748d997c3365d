package linker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tombolo/internal/state"
	"tombolo/internal/wake"
	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/problem"
)

// Sandboxes returns the paths of the network namespaces of the containers that the last linker
// with this state folder had on the overlay. A missing folder means none.
func Sandboxes(stateDir string) ([]string, error) { return attach.Sandboxes(endpointsFile(stateDir)) }

func endpointsFile(stateDir string) string { return filepath.Join(stateDir, "endpoints.json") }

// LockFile returns the path of the file that a running linker locks exclusively with
// flock(2). The lock ends with the linker's process, however that ends.
func LockFile(stateDir string) string { return filepath.Join(stateDir, "lock") }

// lockWait is how long to wait for a linker that was killed to release its lock.
const lockWait = 2 * time.Second

// lock keeps other linkers out of the state folder until the file is closed.
func lock(stateDir string) (*os.File, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(LockFile(stateDir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for late := time.Now().Add(lockWait); ; time.Sleep(lockWait / 40) {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return f, nil
		}
		if time.Now().After(late) {
			f.Close()
			return nil, fmt.Errorf("another linker runs with the state folder %s: stop it, or choose another folder with --state-dir", stateDir)
		}
	}
}

// stateFile keeps what a linker has to know about its last run. Every change is safe
// from a power cut when update returns, because no other host knows all of it.
type stateFile struct {
	path     string
	problems *problem.Set

	mu  sync.Mutex
	doc stateDocument
}

type stateDocument struct {
	Identity string `json:"identity"` // record.Host.Key of this host, whatever its name is
	Epoch    uint64 `json:"epoch"`    // of this run's records; larger than in all earlier runs
	block.Claim
	Contested bool                      `json:"contested,omitempty"` // the claim is another identity's: it has to settle again
	Underlay  netip.Addr                `json:"underlay,omitzero"`   // of the run that announced the claim
	Members   map[string]netip.AddrPort `json:"members"`             // gossip addresses of all hosts ever met, by record.Host.Key

	// Suspended hosts stay suspended over a restart until they answer. Otherwise DNS
	// would give out the addresses of their containers until gossip finds them dead again.
	Suspended []string `json:"suspended,omitempty"`
}

// openState reads the last run's state and enters a new epoch, which is larger than the
// stored one and not below the clock's. A broken file is moved aside and logged.
func openState(cfg Config, problems *problem.Set) (*stateFile, error) {
	s := &stateFile{path: filepath.Join(cfg.StateDir, "linker.json"), problems: problems}
	if err := state.LoadOrReset(s.path, &s.doc, cfg.Log, "the linker starts without the state of its last run"); err != nil {
		return nil, err
	}
	if s.doc.Members == nil {
		s.doc.Members = map[string]netip.AddrPort{}
	}
	if s.doc.Identity == "" {
		s.doc.Identity = keptIdentity(cfg, s.doc)
	}
	s.doc.Epoch = max(s.doc.Epoch+1, uint64(time.Now().Unix()))
	err := s.save()
	if diskFull(err) {
		cfg.Log.Error("the disk is full: the next run will know little about this one", "err", err)
		return s, nil
	}
	return s, err
}

// diskFull reports whether err only says that the disk is full. The linker goes on then,
// because containers need it, and peers remember most of what a restart needs.
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
	s.problems.Report(problem.StateNotSaved, s.save())
}

func (s *stateFile) save() error { return state.Save(s.path, s.doc, true) }

func (s *stateFile) saveClaim(c block.Claim) {
	s.update(func(d *stateDocument) { d.Claim, d.Contested = c, false })
}

// saveUnderlay keeps the address at which this host has announced itself.
func (s *stateFile) saveUnderlay(addr netip.Addr) {
	if s.get().Underlay != addr {
		s.update(func(d *stateDocument) { d.Underlay = addr })
	}
}

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

// forgetMember removes a host that is gone for good.
func (s *stateFile) forgetMember(key string) {
	s.update(func(d *stateDocument) {
		d.Members = maps.Clone(d.Members)
		delete(d.Members, key)
	})
}

// catalogFile keeps the catalog over a restart. Without it, a linker that restarts would
// remove routes and policy until gossip has told it everything again. It would not get
// back the routes and policy of hosts that do not answer then.
type catalogFile struct {
	path     string
	catalog  *catalog.Catalog
	problems *problem.Set
}

// load merges the saved records into the catalog. Newer records of peers replace them.
// A broken file is moved aside and logged.
func (f catalogFile) load(log *slog.Logger) error {
	var packets [][]byte
	if err := state.LoadOrReset(f.path, &packets, log, "the catalog starts empty"); err != nil {
		return err
	}
	for _, p := range packets {
		if _, err := f.catalog.Merge(p); err != nil {
			log.Warn("a saved record cannot be read", "err", err)
		}
	}
	return nil
}

// At least saveEvery passes between two writes of the catalog, and saveShare times as
// long as the last write took, so that a large catalog that changes all the time costs
// a small part of a core.
const (
	saveEvery = time.Second
	saveShare = 20
)

// run saves the catalog after each change, and once more when ctx ends.
func (f catalogFile) run(ctx context.Context) error {
	changes, stop := f.catalog.Watch()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return f.save()
		case <-changes:
		}
		start := time.Now()
		f.problems.Report(problem.CatalogNotSaved, f.save())
		wake.Sleep(ctx, max(saveEvery, saveShare*time.Since(start)))
	}
}

func (f catalogFile) save() error {
	return state.Save(f.path, f.catalog.Packets(), false)
}
