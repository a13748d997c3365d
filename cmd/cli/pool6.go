package cli

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"tombolo/internal/state"
	"tombolo/linker"
)

// keptPool6 is the IPv6 pool of a cluster that is this machine alone: made once,
// kept in the state folder. It is unset where the kernel has no IPv6, and where a
// linker has run without: its Docker network cannot get another subnet.
func keptPool6(stateDir, linkerDir string) (netip.Prefix, error) {
	file := filepath.Join(stateDir, "pool6.json")
	var pool netip.Prefix
	if err := state.Load(file, &pool); err != nil || pool.IsValid() {
		return pool, err
	}
	for _, c := range []struct {
		path string
		is   bool // whether an IPv6 pool needs it to be there
	}{{"/proc/sys/net/ipv6", true}, {filepath.Join(linkerDir, "linker.json"), false}} {
		switch _, err := os.Stat(c.path); {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return pool, err
		case (err == nil) != c.is:
			return pool, nil
		}
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return pool, err
	}
	pool = linker.RandomPool6()
	return pool, state.Save(file, pool, true)
}
