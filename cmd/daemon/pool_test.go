package daemon

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tombolo/cmd/rundir"
	"tombolo/internal/state"
	"tombolo/linker"
)

// The pool of a machine is that of its last daemon, whatever is free by now.
func TestThePoolIsKept(t *testing.T) {
	named := netip.MustParsePrefix("10.99.0.0/16")
	cfg := Config{StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	linkerDir := filepath.Join(cfg.StateDir, "linker")
	first := cfg
	first.Pool = named
	for _, c := range []struct {
		name string
		cfg  Config
	}{{"the pool that the user names", first}, {"the pool of the last run", cfg}} {
		if pool, err := keptPool4(t.Context(), c.cfg, linkerDir); pool != named || err != nil {
			t.Errorf("%s: keptPool4 = %s, %v; want %s", c.name, pool, err, named)
		}
	}
	t.Setenv(poolVariable, "10.98.0.0/16")
	if pool, err := keptPool4(t.Context(), cfg, linkerDir); pool.String() != "10.98.0.0/16" || err != nil {
		t.Errorf("keptPool4 with the pool in the environment = %s, %v", pool, err)
	}
	if pool, err := keptPool4(t.Context(), first, linkerDir); pool != named || err != nil {
		t.Errorf("keptPool4 with another pool in the environment than the user names = %s, %v", pool, err)
	}
	t.Setenv(poolVariable, "")
	old := Config{StateDir: t.TempDir(), Log: cfg.Log}
	if err := errors.Join(os.Mkdir(filepath.Join(old.StateDir, "linker"), 0o700), os.WriteFile(filepath.Join(old.StateDir, "linker", "linker.json"), []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if pool, err := keptPool4(t.Context(), old, filepath.Join(old.StateDir, "linker")); pool != linker.DefaultPool4 || err != nil {
		t.Errorf("keptPool4 after a linker that kept no pool = %s, %v; want the default pool", pool, err)
	}
}

func TestPoolsThatUsersName(t *testing.T) {
	if pool, err := ParsePool("10.99.0.0/16"); err != nil || pool.String() != "10.99.0.0/16" {
		t.Errorf("ParsePool = %s, %v", pool, err)
	}
	for _, text := range []string{"10.99.0.0", "10.99.0.1/16", "10.99.0.0/25", "fd00::/48", "ten"} {
		if _, err := ParsePool(text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("ParsePool(%q) returned %v, want an error that names it", text, err)
		}
	}
}

// --pool changes no daemon that runs.
func TestARunningDaemonKeepsItsPool(t *testing.T) {
	run, stateDir, pool := rundir.Dir(t.TempDir()), t.TempDir(), netip.MustParsePrefix("10.99.0.0/16")
	if err := CheckRunning(run, pool); err == nil || !strings.Contains(err.Error(), "another framework answers") {
		t.Errorf("without a daemon: %v", err)
	}
	lock, err := run.Lock(rundir.Holder{Kind: rundir.Machine, StateDir: stateDir})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := CheckRunning(run, pool); err == nil || !strings.Contains(err.Error(), "100.64.0.0/10") || !strings.Contains(err.Error(), "tombolo daemon stop") {
		t.Errorf("with another pool: %v, want an error that names it and says how to change it", err)
	}
	if err := state.Save(poolFile(stateDir), pool, false); err != nil {
		t.Fatal(err)
	}
	if err := CheckRunning(run, pool); err != nil {
		t.Errorf("with the same pool: %v", err)
	}
}
