package vip

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	day  = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	db   = ID{App: "shop", Service: "db"}
	web  = ID{App: "shop", Service: "web"}
	blog = ID{App: "blog", Service: "db"}
)

func open(t testing.TB, file, range4 string) *Book {
	t.Helper()
	b, err := Open(Config{
		File: file, Range4: netip.MustParsePrefix(range4), Range6: netip.MustParsePrefix("fd42:1:2:ffff:ffff::/80"),
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func assign(t testing.TB, b *Book, now time.Time, live ...ID) map[ID]Addrs {
	t.Helper()
	addrs, err := b.Assign(live, now)
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

func TestEachServiceHasItsOwnAddresses(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "vip.json"), "100.127.0.0/16")
	got := assign(t, b, day, db, web, blog)
	seen := map[netip.Addr]ID{}
	for _, id := range []ID{db, web, blog} {
		a := got[id]
		if !b.cfg.Range4.Contains(a.V4) || !b.cfg.Range6.Contains(a.V6) {
			t.Errorf("%s has %s and %s, want addresses of the ranges", id, a.V4, a.V6)
		}
		for _, addr := range []netip.Addr{a.V4, a.V6} {
			if other, taken := seen[addr]; taken {
				t.Errorf("%s and %s both have %s", id, other, addr)
			}
			seen[addr] = id
		}
	}
}

func TestAddressesStay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vip.json")
	b := open(t, file, "100.127.0.0/16")
	first := assign(t, b, day, db, web)
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"when nothing changes", func() {}},
		{"when another service comes", func() { assign(t, b, day, db, web, blog) }},
		{"when the linker restarts", func() { b = open(t, file, "100.127.0.0/16") }},
		{"when the app ends for a moment", func() { assign(t, b, day.Add(time.Second)); assign(t, b, day.Add(9*time.Minute)) }},
		{"when the linker lost its file", func() {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			b = open(t, file, "100.127.0.0/16")
		}},
		{"when the file is broken", func() {
			if err := os.WriteFile(file, []byte(`{"services":[{`), 0o600); err != nil {
				t.Fatal(err)
			}
			b = open(t, file, "100.127.0.0/16")
		}},
	} {
		step.do()
		if diff := cmp.Diff(first, assign(t, b, day.Add(9*time.Minute), db, web), cmp.Comparer(func(x, y netip.Addr) bool { return x == y })); diff != "" {
			t.Errorf("%s, the addresses change (-before +after):\n%s", step.name, diff)
		}
	}
}

// A service that ended keeps its address from others for keepFor, also across a restart.
func TestAnAddressIsNotReusedQuickly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vip.json")
	b := open(t, file, "100.127.0.0/31") // one address: number 0 stays unused
	first := assign(t, b, day, db)[db]
	assign(t, b, day)
	for _, again := range []func(){func() {}, func() { b = open(t, file, "100.127.0.0/31") }} {
		again()
		addrs, err := b.Assign([]ID{web}, day.Add(keepFor))
		if !errors.Is(err, ErrFull) || addrs[web].V4.IsValid() {
			t.Errorf("soon after the end of db, web got %v (%v), want ErrFull", addrs[web], err)
		} else if !strings.Contains(err.Error(), "web.shop") || !strings.Contains(err.Error(), "100.127.0.0/31") {
			t.Errorf("the error %q names neither service nor range", err)
		}
	}
	if got := assign(t, b, day.Add(keepFor+2*time.Second), web)[web]; got != first {
		t.Errorf("long after the end of db, web got %v, want %v", got, first)
	}
}

func TestWithoutARangeNobodyHasAnAddress(t *testing.T) {
	b, err := Open(Config{File: filepath.Join(t.TempDir(), "vip.json"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := assign(t, b, day, db); len(got) != 0 {
		t.Errorf("Assign = %v, want no addresses", got)
	}
}

func TestWithoutIPv6(t *testing.T) {
	b, err := Open(Config{File: filepath.Join(t.TempDir(), "vip.json"), Range4: netip.MustParsePrefix("100.127.0.0/16"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := assign(t, b, day, db)[db]; !got.V4.IsValid() || got.V6.IsValid() {
		t.Errorf("Assign = %v, want an IPv4 address alone", got)
	}
}

// A file that cannot be written costs nobody an address, and is written later.
func TestAFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	b := open(t, t.TempDir()+"/vip.json", "100.127.0.0/16")
	b.cfg.File = filepath.Join(dir, "vip.json")
	addrs, err := b.Assign([]ID{db}, day)
	if err == nil || !addrs[db].V4.IsValid() {
		t.Fatalf("Assign = %v, %v; want an address and the error of the file", addrs[db], err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	assign(t, b, day, db)
	if again := assign(t, open(t, b.cfg.File, "100.127.0.0/16"), day, db); again[db] != addrs[db] {
		t.Errorf("after a restart db has %v, want %v", again[db], addrs[db])
	}
}

// In any order of starts and ends, no two services that live or have just ended share an address.
func TestNoTwoServicesShareAnAddress(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := open(t, filepath.Join(t.TempDir(), "vip.json"), "100.127.0.0/28")
		holder, ended, now := map[netip.Addr]ID{}, map[netip.Addr]time.Time{}, day
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(rt, "seconds")) * time.Second)
			var live []ID
			for n := range 20 {
				if rapid.Bool().Draw(rt, "lives") {
					live = append(live, ID{App: "app", Service: fmt.Sprint(n)})
				}
			}
			addrs, err := b.Assign(live, now)
			if err != nil && !errors.Is(err, ErrFull) {
				rt.Fatal(err)
			}
			for addr := range holder {
				if addrs[holder[addr]].V4 != addr && ended[addr].IsZero() {
					ended[addr] = now
				}
			}
			for id, a := range addrs {
				if was, ok := holder[a.V4]; ok && was != id && now.Sub(ended[a.V4]) < keepFor {
					rt.Fatalf("%s has %s, which %s had %s ago", id, a.V4, was, now.Sub(ended[a.V4]))
				}
				holder[a.V4] = id
				delete(ended, a.V4)
			}
		}
	})
}
