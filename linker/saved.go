package linker

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tombolo/internal/state"
)

// saved is what a linker remembers of itself. It is written through to the disk:
// nobody else could tell it again.
type saved struct {
	file string

	mu  sync.Mutex
	doc savedDoc
}

type savedDoc struct {
	Epoch   uint64                    `json:"epoch"` // larger than that of any record ever issued
	Block4  netip.Prefix              `json:"block4,omitzero"`
	Block6  netip.Prefix              `json:"block6,omitzero"`
	Claimed time.Time                 `json:"claimed,omitzero"`
	Members map[string]netip.AddrPort `json:"members"` // gossip addresses of hosts ever met

	// Suspended hosts stay so over a restart, until they show that they live: else
	// their names would answer for the moments that it takes to miss them.
	Suspended []string `json:"suspended,omitempty"`
}

// loadSaved reads what an earlier run left, and enters a new epoch: larger than
// every stored one, and than the clock's where that is later.
func loadSaved(cfg Config) (*saved, error) {
	s := &saved{file: filepath.Join(cfg.StateDir, "linker.json")}
	if err := state.Load(s.file, &s.doc); err != nil {
		if !errors.Is(err, state.ErrBroken) {
			return nil, err
		}
		cfg.Log.Warn("the linker starts anew", "err", err)
		s.doc = savedDoc{}
	}
	if s.doc.Members == nil {
		s.doc.Members = map[string]netip.AddrPort{}
	}
	err := s.update(func(d *savedDoc) { d.Epoch = max(d.Epoch+1, uint64(time.Now().Unix())) })
	if diskFull(err) {
		cfg.Log.Error("the disk is full: a restart will know little of this run", "err", err)
		return s, nil
	}
	return s, err
}

// diskFull is an error that ends nothing: containers are linked all the same.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// keep changes what is saved. A disk that is full ends nothing: peers remember what
// a restart needs, but for a while nobody else does.
func (l *Linker) keep(change func(*savedDoc)) {
	err := l.saved.update(change)
	if l.problems.set("state", err) && err != nil {
		l.log.Error("cannot keep state", "err", err)
	}
}

func (s *saved) get() savedDoc {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc
}

func (s *saved) update(change func(*savedDoc)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.doc)
	return state.Save(s.file, s.doc, true)
}

// member remembers where a host's gossip listens.
func (s *saved) member(name string, addr netip.AddrPort) error {
	s.mu.Lock()
	known := s.doc.Members[name] == addr
	s.mu.Unlock()
	if known {
		return nil
	}
	return s.update(func(d *savedDoc) {
		next := map[string]netip.AddrPort{name: addr} // get has given the old map away
		for n, a := range d.Members {
			if n != name {
				next[n] = a
			}
		}
		d.Members = next
	})
}

// resolvConf is what containers mount over their /etc/resolv.conf. There is no
// search list: the short names are the linker's own to answer.
const resolvConf = `# The Tombolo linker of this host answers, in the view of whoever asks.
nameserver 169.254.1.1
options ndots:0 timeout:2 attempts:3
`

// writeResolvConf leaves an equal file alone: containers have mounted that very
// file, not its name.
func writeResolvConf(path string) error {
	if have, err := os.ReadFile(path); err == nil && string(have) == resolvConf {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(resolvConf), 0o644)
}
