package linker

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

// newIdentity returns a random identity of a host: 80 bits, as a DNS label.
func newIdentity() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b) // it never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

// keptIdentity returns the identity of a host whose state file has none. Earlier versions used
// the host's name, which is in the record of the catalog file that has the host's block; the
// machine may have another name since. A host that has lost its state file finds its record by
// its name and its address. A new host gets an identity that nobody has.
func keptIdentity(cfg Config, last stateDocument) string {
	for _, h := range savedHosts(catalogPath(cfg.StateDir)) {
		if last.Block4.IsValid() && h.Block4 == last.Block4 && h.Claimed.Equal(last.Claimed) || h.Name == cfg.Host && h.Underlay == cfg.Underlay {
			return h.Key()
		}
	}
	if last.Epoch > 0 {
		return cfg.Host
	}
	return newIdentity()
}

func catalogPath(stateDir string) string { return filepath.Join(stateDir, "catalog.json") }

// savedHosts returns the hosts of a catalog file, as far as it can be read: catalogFile.load
// reports what cannot.
func savedHosts(path string) (all []*record.Host) {
	var packets [][]byte
	raw, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(raw, &packets) != nil {
		return nil
	}
	for _, p := range packets {
		if r, err := record.Decode(p); err == nil && r.Host != nil {
			all = append(all, r.Host)
		}
	}
	return all
}

// errNewIdentity ends the linker, which its supervisor starts again.
var errNewIdentity = errors.New("this host has another identity now")

// identityKeeper gives this host another identity where it cannot keep the one that it has.
type identityKeeper struct {
	self     thisHost
	catalog  *catalog.Catalog
	state    *stateFile
	answers  func(key string) bool // whether a host is alive
	underlay netip.Addr
}

// adopt looks for this host among those that do not answer, before it claims a block: a machine
// that has lost its disk has the name and the address of a record that its peers kept. It then
// takes up that identity, with its block, instead of a new one.
func (i identityKeeper) adopt() error {
	for key, h := range i.catalog.Snapshot().Hosts {
		if key != i.self.id && h.Name == i.self.name && h.Underlay == i.underlay && !i.answers(key) {
			i.state.update(func(d *stateDocument) { d.Identity, d.Claim = key, block.Claim{} })
			return errNewIdentity
		}
	}
	return nil
}

// run watches for this host's being forgotten until ctx ends. A forgotten host that is alive
// comes back with another identity: its records are void for ever. It keeps its containers, and
// claims its block again, unless another host has it by now.
func (i identityKeeper) run(ctx context.Context) error {
	changes, stop := i.catalog.Watch()
	defer stop()
	for {
		if _, gone := i.catalog.Snapshot().Forgotten[i.self.id]; gone {
			i.state.update(func(d *stateDocument) {
				d.Identity, d.Contested = newIdentity(), true
			})
			return errNewIdentity
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
	}
}
