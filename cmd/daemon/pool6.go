package daemon

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"tombolo/internal/state"
	"tombolo/linker"
)

// keptPool6 returns the IPv6 pool of a cluster that is this machine alone. It is chosen
// once and kept in the state folder. It is unset if the kernel has no IPv6, and if a
// linker ran without one before: its Docker network cannot get another subnet.
func keptPool6(stateDir, linkerDir string) (netip.Prefix, error) {
	file := filepath.Join(stateDir, "pool6.json")
	var pool netip.Prefix
	if err := state.Load(file, &pool); err != nil || pool.IsValid() {
		return pool, err
	}
	for _, c := range []struct {
		path string
		want bool // whether the path has to exist for a new pool
	}{{"/proc/sys/net/ipv6", true}, {filepath.Join(linkerDir, "linker.json"), false}} {
		switch _, err := os.Stat(c.path); {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return pool, err
		case (err == nil) != c.want:
			return pool, nil
		}
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return pool, err
	}
	pool = linker.RandomPool6()
	return pool, state.Save(file, pool, true)
}
