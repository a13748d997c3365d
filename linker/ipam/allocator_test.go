package ipam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	block4 = netip.MustParsePrefix("100.64.7.0/24")
	block6 = netip.MustParsePrefix("fd00:1:2:0:7::/80")
)

func open(t testing.TB, file string) *Allocator {
	t.Helper()
	a, err := Open(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func fresh(t testing.TB) *Allocator {
	t.Helper()
	a := open(t, filepath.Join(t.TempDir(), "ipam.json"))
	if err := a.Use(block4, block6); err != nil {
		t.Fatal(err)
	}
	return a
}

// request requests the address want, or any.
func request(t testing.TB, a *Allocator, want ...string) netip.Addr {
	t.Helper()
	var addr netip.Addr
	if len(want) > 0 {
		addr = netip.MustParseAddr(want[0])
	}
	got, err := a.Request(t.Context(), addr)
	if err != nil {
		t.Fatalf("Request(%s) returned the error %v", addr, err)
	}
	return got
}

func TestBothAddressesHaveOneNumber(t *testing.T) {
	a := fresh(t)
	for _, want := range []string{"2", "3"} {
		got4 := request(t, a)
		got6 := a.Sibling(got4)
		if got4.String() != "100.64.7."+want || got6.String() != "fd00:1:2:0:7::"+want {
			t.Errorf("got the addresses %s and %s, want both with the number %s", got4, got6, want)
		}
	}
	if got := a.Sibling(netip.MustParseAddr("100.64.8.2")); got.IsValid() {
		t.Errorf("an address of another block has the sibling %s, want none", got)
	}
	if err := a.Use(block4, netip.Prefix{}); err != nil {
		t.Fatal(err)
	}
	if got := a.Sibling(netip.MustParseAddr("100.64.7.2")); got.IsValid() {
		t.Errorf("without an IPv6 block the sibling is %s, want none", got)
	}
}

func TestRequestOfACertainAddress(t *testing.T) {
	a := fresh(t)
	request(t, a, "100.64.7.9")
	for _, tt := range []struct{ name, want, err string }{
		{"a free one", "100.64.7.200", ""},
		{"one in use", "100.64.7.9", "in use"},
		{"the host's own", "100.64.7.1", "not one of this host's"},
		{"the network address", "100.64.7.0", "not one of this host's"},
		{"the last one", "100.64.7.255", "not one of this host's"},
		{"another host's", "100.64.8.9", "not one of this host's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := a.Request(t.Context(), netip.MustParseAddr(tt.want))
			if tt.err == "" && (err != nil || got.String() != tt.want) {
				t.Errorf("Request(%s) returned %s and the error %v, want the address", tt.want, got, err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("Request(%s) returned the error %v, want %q in it", tt.want, err, tt.err)
			}
		})
	}
}

func TestTheLongestFreeAddressIsReusedFirst(t *testing.T) {
	a := fresh(t)
	var all []netip.Addr
	for range 253 {
		all = append(all, request(t, a))
	}
	_, err := a.Request(t.Context(), netip.Addr{})
	if !errors.Is(err, ErrExhausted) || !strings.Contains(err.Error(), "253 addresses") {
		t.Fatalf("a request with every address held returned %v, want ErrExhausted with the number of addresses", err)
	}
	for _, i := range []int{40, 7} {
		for range 2 { // releasing it again is no error
			if err := a.Release(all[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := request(t, a); got != all[40] {
		t.Errorf("got %s again, want %s, which was released first", got, all[40])
	}
}

func TestRestartKeepsLeases(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ipam.json")
	a := open(t, file)
	if err := a.Use(block4, block6); err != nil {
		t.Fatal(err)
	}
	held := request(t, a)

	b := open(t, file)
	if err := b.Use(block4, block6); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Held()[held]; !ok {
		t.Errorf("after the restart %v are held, want %s among them", b.Held(), held)
	}
	if err := b.Use(netip.MustParsePrefix("100.64.9.0/24"), block6); err == nil {
		t.Error("Use accepted another block while an address was held")
	}
	if got := request(t, b); got == held {
		t.Errorf("%s was handed out twice", got)
	}
}

func TestAdoptedAddressesAreHeldAndRefusedRequestsFail(t *testing.T) {
	a := fresh(t)
	for _, addr := range []string{"100.64.7.2", "10.0.0.1"} {
		if err := a.Adopt(netip.MustParseAddr(addr)); err != nil {
			t.Fatal(err)
		}
	}
	if got := request(t, a); got.String() != "100.64.7.3" {
		t.Errorf("got %s, want the address after the one that was adopted", got)
	}
	a.Refuse(errors.New("block quarantined"))
	if _, err := a.Request(t.Context(), netip.Addr{}); err == nil || err.Error() != "block quarantined" {
		t.Errorf("a refused request returned %v, want the reason", err)
	}
}

func TestRequestWaitsForTheBlock(t *testing.T) {
	a := open(t, filepath.Join(t.TempDir(), "ipam.json"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Request(ctx, netip.Addr{}); err == nil || !strings.Contains(err.Error(), "no address block yet") {
		t.Errorf("a request without a block returned %v, want an error that says so", err)
	}
}

func TestNoAddressIsHeldTwice(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		a := open(t, filepath.Join(dir, fmt.Sprint(runs)))
		if err := a.Use(netip.MustParsePrefix("10.0.0.0/29"), netip.Prefix{}); err != nil {
			rt.Fatal(err)
		}
		held := map[netip.Addr]bool{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "release") {
				for addr := range held {
					if err := a.Release(addr); err != nil {
						rt.Fatal(err)
					}
					delete(held, addr)
					break
				}
				continue
			}
			addr, err := a.Request(context.Background(), netip.Addr{})
			if err != nil && len(held) < 5 {
				rt.Fatalf("a request failed with only %d of 5 addresses held: %v", len(held), err)
			}
			if err == nil {
				if held[addr] {
					rt.Fatalf("%s was handed out while it was held", addr)
				}
				held[addr] = true
			}
		}
	})
}

func TestNth(t *testing.T) {
	for _, tt := range []struct {
		pool string
		bits int
		n    uint32
		want string // "": the pool has no such block
	}{
		{"100.64.0.0/10", 24, 0, "100.64.0.0/24"},
		{"100.64.0.0/10", 24, 16383, "100.127.255.0/24"},
		{"100.64.0.0/10", 24, 16384, ""},
		{"fd12:3456:789a::/48", 80, 5, "fd12:3456:789a:0:5::/80"},
		{"fd12:3456:789a::/48", 80, 1 << 20, "fd12:3456:789a:10::/80"},
		{"fd12:3456:789a::/48", 40, 0, ""},
	} {
		got := Nth(netip.MustParsePrefix(tt.pool), tt.bits, tt.n)
		if got.IsValid() != (tt.want != "") || (got.IsValid() && got.String() != tt.want) {
			t.Errorf("Nth(%s, %d, %d) = %s; want %q", tt.pool, tt.bits, tt.n, got, tt.want)
		}
	}
	if got := HostAddr(block6).String(); got != "fd00:1:2:0:7::1" {
		t.Errorf("HostAddr(%s) = %s, want its first address", block6, got)
	}
}
