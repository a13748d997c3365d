package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"tombolo/cmd/rundir"
	"tombolo/internal/state"
	"tombolo/linker"
	"tombolo/linker/block"
)

// poolVariable is the environment variable of a linker's flag --pool, which users set for the
// linker of a daemon, too.
const poolVariable = "TOMBOLO_POOL"

func poolFile(stateDir string) string { return filepath.Join(stateDir, "pool.json") }

// keptPool4 returns the IPv4 pool of a cluster that is this machine alone: the one that the user
// names (up --pool, or TOMBOLO_POOL in the environment), or the one of the last run, or else one that is free on this machine. It is kept in
// the state folder, because containers have addresses in it. A linker that ran before pools were
// kept has the default one.
func keptPool4(ctx context.Context, cfg Config, linkerDir string) (netip.Prefix, error) {
	pool := cfg.Pool
	if text := os.Getenv(poolVariable); text != "" && !pool.IsValid() {
		var err error
		if pool, err = ParsePool(text); err != nil {
			return pool, fmt.Errorf("%s: %w", poolVariable, err)
		}
	}
	if !pool.IsValid() {
		if err := state.Load(poolFile(cfg.StateDir), &pool); err != nil || pool.IsValid() {
			return pool, err
		}
		if _, err := os.Stat(filepath.Join(linkerDir, "linker.json")); err == nil {
			return linker.DefaultPool4, nil
		}
		free, why, err := linker.FreePool4(ctx)
		if err != nil {
			return pool, err
		}
		if why != nil {
			cfg.Log.Warn("the default pool is not free on this machine; containers get addresses of another one", "pool", free, "why", why)
		}
		pool = free
	}
	return pool, state.Save(poolFile(cfg.StateDir), pool, true)
}

// ParsePool parses the IPv4 pool that a user names.
func ParsePool(text string) (netip.Prefix, error) {
	pool, err := netip.ParsePrefix(text)
	if err != nil || !pool.Addr().Is4() || pool.Bits() > block.Bits4 || pool != pool.Masked() {
		return netip.Prefix{}, fmt.Errorf("--pool: %q is not an IPv4 range of at least a /%d, like 10.99.0.0/16", text, block.Bits4)
	}
	return pool, nil
}

// CheckRunning returns an error if the daemon of this machine runs with another pool, or if what
// runs here is not such a daemon: its pool is chosen elsewhere.
func CheckRunning(run rundir.Dir, pool netip.Prefix) error {
	h, err := run.Holder()
	if errors.Is(err, rundir.ErrFree) {
		return errors.New("--pool is for the cluster of this machine alone, which up starts; here another framework answers (its linkers have a flag --pool)")
	}
	if err != nil {
		return err
	}
	if h.Kind != rundir.Machine {
		return errors.New("--pool is for the cluster of this machine alone; the pool of a lab or of a cluster is chosen where it is made (tombolo lab up --pool, tombolo linker --pool)")
	}
	var have netip.Prefix
	if err := state.Load(poolFile(h.StateDir), &have); err != nil {
		return err
	}
	if !have.IsValid() {
		have = linker.DefaultPool4
	}
	if have != pool {
		return fmt.Errorf("--pool %s: the daemon of this machine runs with the pool %s: take its apps down, stop it (tombolo daemon stop), and run up again", pool, have)
	}
	return nil
}
