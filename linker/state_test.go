package linker

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/problem"
)

// written is the state file as every version writes it, but for the epoch.
const written = `{"identity":"h7","epoch":EPOCH,"block4":"100.64.7.0/24","block6":"fd00:1:2:0:7::/80","claimed":"2026-05-01T00:00:00Z",` +
	`"members":{"h2":"198.18.0.12:7980"},"suspended":["h2"]}` + "\n"

func TestStateOfTheLastRunIsKept(t *testing.T) {
	cfg := Config{StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	path := filepath.Join(cfg.StateDir, "linker.json")
	synctest.Test(t, func(t *testing.T) { // the clock stands at 946684800 seconds
		if err := os.WriteFile(path, []byte(strings.Replace(written, "EPOCH", "5", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openState(cfg, problem.NewSet(cfg.Log))
		if err != nil {
			t.Fatal(err)
		}
		want := block.Claim{Block4: netip.MustParsePrefix("100.64.7.0/24"), Block6: netip.MustParsePrefix("fd00:1:2:0:7::/80"), Claimed: day}
		if got := s.get(); got.Claim != want || got.Epoch != 946684800 {
			t.Errorf("the state has the claim %v and the epoch %d, want %v and the clock's seconds", got.Claim, got.Epoch, want)
		}
		s.saveMember("h2", netip.MustParseAddrPort("198.18.0.12:7980")) // known already
		if s, err = openState(cfg, s.problems); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if want := strings.Replace(written, "EPOCH", "946684801", 1); err != nil || string(raw) != want {
			t.Errorf("the file after the next start has %s (%v), want %s", raw, err, want)
		}
		s.saveMember("h3", netip.MustParseAddrPort("198.18.0.13:7980"))
		if got := s.get().Members; len(got) != 2 {
			t.Errorf("the state has the members %v, want h2 and h3", got)
		}
	})
}

func TestABrokenStateFileIsMovedAside(t *testing.T) {
	cfg := Config{StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	path := filepath.Join(cfg.StateDir, "linker.json")
	if err := os.WriteFile(path, []byte(`{"epoch":7,"block4":"100.64.7.0/24","members":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openState(cfg, problem.NewSet(cfg.Log))
	if err != nil || s.get().Claim != (block.Claim{}) || s.get().Members == nil {
		t.Errorf("openState returned %+v and the error %v, want an empty state", s, err)
	}
	if _, err := os.Stat(path + ".broken"); err != nil {
		t.Errorf("the broken file was not kept: %v", err)
	}
}

// A new host claims no block before another host has told what it holds; saving its own records
// tells nothing.
func TestSavingIsNoComparison(t *testing.T) {
	f := catalogFile{path: filepath.Join(t.TempDir(), "catalog.json"), catalog: catalog.New("h1", 1), problems: problem.NewSet(slog.New(slog.DiscardHandler))}
	if err := f.save(); err != nil {
		t.Fatal(err)
	}
	if count, _, _ := f.catalog.Compared(); count != 0 {
		t.Errorf("%d comparisons with other hosts after saving, want 0", count)
	}
}
