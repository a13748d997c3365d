package linker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tombolo/internal/state"
	"tombolo/internal/wake"
	"tombolo/linker/catalog"
)

// catalogFile keeps the catalog over a restart. Without it, a restarted linker would
// remove routes and policy until gossip has told it everything again, and those of hosts
// that are unreachable at that moment for good.
type catalogFile struct {
	path     string
	catalog  *catalog.Catalog
	problems *problems
}

// load merges the saved records into the catalog. Newer records of peers replace them.
// A broken file is moved aside and logged.
func (f catalogFile) load(log *slog.Logger) error {
	var packets [][]byte
	if err := state.Load(f.path, &packets); err != nil {
		if !errors.Is(err, state.ErrBroken) {
			return err
		}
		log.Warn("the catalog starts empty", "err", err)
		return nil
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
		f.problems.report(catalogFileProblem, f.save())
		wake.Sleep(ctx, max(saveEvery, saveShare*time.Since(start)))
	}
}

func (f catalogFile) save() error {
	packets, err := f.catalog.Missing(catalog.New("", 0).Digest()) // everything that an empty catalog lacks
	if err != nil {
		return err
	}
	return state.Save(f.path, packets, false)
}

// Tombstones are kept for tombstoneAge: if a host that was cut off for longer still
// announces a deleted record, the record's owner corrects it. Older tombstones are
// removed every collectEvery.
const (
	tombstoneAge = time.Hour
	collectEvery = 10 * time.Minute
)

// collectTombstones bounds their number where containers come and go.
func collectTombstones(ctx context.Context, c *catalog.Catalog) error {
	for wake.Sleep(ctx, collectEvery) {
		c.DropOldTombstones(time.Now(), tombstoneAge)
	}
	return nil
}
