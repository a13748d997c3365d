package linker

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"tombolo/internal/state"
	"tombolo/linker/catalog"
)

// memoryEvery is the least time between two writes of the catalog. Each also waits
// for memoryShare times as long as the last one took, so that a large catalog in
// motion costs a small part of a core.
const (
	memoryEvery = time.Second
	memoryShare = 20
)

// memory keeps the catalog over a restart. Without it a restarted linker would take
// routes and policy away until gossip has told it everything again, and those of
// hosts that are unreachable just then for good.
type memory struct {
	file    string
	catalog *catalog.Catalog
}

func (l *Linker) memory() memory {
	return memory{file: filepath.Join(l.cfg.StateDir, "catalog.json"), catalog: l.catalog}
}

// recall merges what was kept: whatever peers know better replaces it.
func (l *Linker) recall() error {
	var packets [][]byte
	m := l.memory()
	if err := state.Load(m.file, &packets); err != nil {
		if !errors.Is(err, state.ErrBroken) {
			return err
		}
		l.log.Warn("the catalog starts anew", "err", err)
		return nil
	}
	for _, p := range packets {
		if _, err := (catalog.GossipDelegate{Catalog: m.catalog}).Merge(p); err != nil {
			l.log.Warn("a kept record makes no sense", "err", err)
		}
	}
	for _, host := range l.saved.get().Suspended {
		l.catalog.Suspend(host)
	}
	return nil
}

// remember writes the catalog whenever it has changed, and once more at the end.
func (l *Linker) remember(ctx context.Context) error {
	m := l.memory()
	changes, stop := m.catalog.Watch()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return m.save()
		case <-changes:
		}
		began := time.Now()
		if err := m.save(); l.problems.set("catalog file", err) && err != nil {
			l.log.Warn("cannot keep the catalog", "err", err)
		}
		rest := time.NewTimer(max(memoryEvery, memoryShare*time.Since(began)))
		select {
		case <-ctx.Done():
			rest.Stop()
		case <-rest.C:
		}
	}
}

func (m memory) save() error {
	packets, err := m.catalog.Missing(catalog.New("", 0).Digest()) // all that somebody lacks who has nothing
	if err != nil {
		return err
	}
	return state.Save(m.file, packets, false)
}

// Tombstones are kept for tombstoneAge: a host that was cut off for longer and
// still tells of what is gone is set right by the owner. sweepEvery is how often
// those that are older are looked for.
const (
	tombstoneAge = time.Hour
	sweepEvery   = 10 * time.Minute
)

// sweep keeps tombstones from heaping up where containers come and go.
func (l *Linker) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			l.catalog.DropOldTombstones(now, tombstoneAge)
		}
	}
}
