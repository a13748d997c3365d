package overlay

import (
	"flag"
	"math/rand"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite golden files")

func goldenConfig() Config {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	return Config{
		Self: Peer{
			Name: "h1", Underlay: addr("198.18.0.11"), Block4: prefix("100.64.1.0/24"), Block6: prefix("fd42:1:2:0:1::/80"),
			Overlay4: addr("100.64.1.1"), Overlay6: addr("fd42:1:2:0:1::1"), MAC: HardwareAddr(addr("100.64.1.1")),
		},
		Pool4: prefix("100.64.0.0/10"), Pool6: prefix("fd42:1:2::/48"), VNI: DefaultVNI, Port: DefaultPort,
		Peers: []Peer{
			{Name: "h2", Underlay: addr("198.18.0.12"), Block4: prefix("100.64.2.0/24"), Overlay4: addr("100.64.2.1"), Overlay6: addr("fd42:1:2:0:2::1")},
			{Name: "h3", Underlay: addr("2001:db8::13"), Block4: prefix("100.64.3.0/24"), Overlay4: addr("100.64.3.1"), Overlay6: addr("fd42:1:2:0:3::1")},
		},
		Endpoints: []Endpoint{
			{ID: "web", Addr4: addr("100.64.1.2"), Addr6: addr("fd42:1:2:0:1::2")},
			{ID: "db", Addr4: addr("100.64.1.3"), Addr6: addr("fd42:1:2:0:1::3"), Internal: true},
		},
		Groups: []Group{
			allow(addr("100.64.2.2"), addr("100.64.1.2")),
			allow(addr("100.64.1.2"), addr("100.64.1.3"), HostPort{5432, "tcp"}, HostPort{5433, "udp"}, HostPort{1, "nonsense"}),
			allow(addr("fd42:1:2:0:1::2"), addr("fd42:1:2:0:1::3"), HostPort{5432, "tcp"}),
			allow(addr("fd42:1:2:0:2::2"), addr("fd42:1:2:0:1::2")),
		},
		Publish: []Publish{
			{HostPort: 8080, Proto: "tcp", To: addr("100.64.1.2"), Port: 80},
			{HostPort: 8080, Proto: "tcp", To: addr("fd42:1:2:0:1::2"), Port: 80},
			{HostPort: 8080, Proto: "tcp", To: addr("100.64.1.2"), Port: 80}, // a repetition: still one target
			{HostPort: 8081, Proto: "tcp", To: addr("100.64.1.2"), Port: 80}, // shared by two
			{HostPort: 8081, Proto: "tcp", To: addr("100.64.2.2"), Port: 80},
			{HostIP: addr("127.0.0.1"), HostPort: 5432, Proto: "tcp", To: addr("100.64.1.3"), Port: 5432},
			{HostIP: addr("::ffff:198.18.0.11"), HostPort: 53, Proto: "udp", To: addr("100.64.2.2"), Port: 5353},
			{HostIP: addr("198.18.0.11"), HostPort: 54, Proto: "udp", To: addr("fd42:1:2:0:1::2"), Port: 53}, // mixed address families
		},
		Blocked:      []HostPort{{7980, "tcp"}, {7980, "udp"}, {5051, "tcp"}},
		ServicePool4: prefix("100.127.0.0/16"), ServicePool6: prefix("fd42:1:2:ffff:ffff::/80"),
		Services: []Service{
			{Addr: addr("100.127.0.7"), Targets: []netip.Addr{addr("100.64.2.2"), addr("100.64.1.3"), addr("100.64.1.3"), addr("fd42:1:2:0:1::3")}},
			{Addr: addr("fd42:1:2:ffff:ffff::7"), Targets: []netip.Addr{addr("fd42:1:2:0:1::3")}},
			{Addr: addr("100.127.0.8")}, // no target: refused
		},
		Revoked: []Revocation{
			{From: addr("100.64.2.3"), To: addr("100.64.1.2")},
			{From: addr("fd42:1:2:0:2::3"), To: addr("fd42:1:2:0:1::2")},
			{From: addr("100.64.2.4"), To: addr("100.64.1.2"), Still: []HostPort{{80, "tcp"}}}, // the rest stays permitted
			{From: addr("100.64.2.5"), To: addr("100.64.1.2"), Back: true},
			{From: addr("100.64.2.6")}, // its container has ended
		},
	}
}

func TestCompileGolden(t *testing.T) {
	full := goldenConfig()
	redirect := goldenConfig()
	redirect.DNSPort = 5300
	plain := goldenConfig()
	plain.Pool6, plain.Peers, plain.Endpoints, plain.Groups, plain.Publish, plain.Blocked = netip.Prefix{}, nil, nil, nil, nil, nil
	plain.ServicePool4, plain.ServicePool6, plain.Services = netip.Prefix{}, netip.Prefix{}, nil
	plain.Revoked = nil
	for name, c := range map[string]Config{"full.nft": full, "redirect.nft": redirect, "plain.nft": plain} {
		t.Run(name, func(t *testing.T) { golden(t, name, compile(c.unmapped()).text()) })
	}
}

// golden compares text with a golden file, or rewrites the file with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), refresh with -update:\n%s", path, diff)
	}
}

// The order of the slices in a Config has no meaning.
func TestCompileIgnoresOrder(t *testing.T) {
	want := compile(goldenConfig().unmapped()).text()
	rapid.Check(t, func(t *rapid.T) {
		c := goldenConfig()
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		r.Shuffle(len(c.Peers), func(i, j int) { c.Peers[i], c.Peers[j] = c.Peers[j], c.Peers[i] })
		r.Shuffle(len(c.Endpoints), func(i, j int) { c.Endpoints[i], c.Endpoints[j] = c.Endpoints[j], c.Endpoints[i] })
		r.Shuffle(len(c.Groups), func(i, j int) { c.Groups[i], c.Groups[j] = c.Groups[j], c.Groups[i] })
		r.Shuffle(len(c.Publish), func(i, j int) { c.Publish[i], c.Publish[j] = c.Publish[j], c.Publish[i] })
		r.Shuffle(len(c.Blocked), func(i, j int) { c.Blocked[i], c.Blocked[j] = c.Blocked[j], c.Blocked[i] })
		r.Shuffle(len(c.Services), func(i, j int) { c.Services[i], c.Services[j] = c.Services[j], c.Services[i] })
		for _, svc := range c.Services {
			r.Shuffle(len(svc.Targets), func(i, j int) { svc.Targets[i], svc.Targets[j] = svc.Targets[j], svc.Targets[i] })
		}
		if got := compile(c.unmapped()).text(); got != want {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

// Applying the difference of any two contents to the first makes it equal to the second.
func TestDifferenceTurnsOneIntoTheOther(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) contents {
		c := contents{}
		var published []Publish
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			p := Publish{
				HostPort: rapid.Uint16Range(1, 5).Draw(t, "port"), Proto: "tcp",
				To: netip.AddrFrom4([4]byte{100, 64, 1, rapid.Byte().Draw(t, "to")}), Port: 80,
			}
			published = append(published, p)
			c.permit([]Group{allow(p.To, netip.AddrFrom4([4]byte{100, 64, 1, 9}))})
		}
		c.publish(published)
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		have, want := draw.Draw(t, "have"), draw.Draw(t, "want")
		remove, add := difference(have, want)
		for set, members := range remove {
			for key := range members {
				delete(have[set], key)
			}
		}
		for set, members := range add {
			for key, value := range members {
				if !have.add(set, key, value) {
					t.Fatalf("the difference adds %x, which is there already", key)
				}
			}
		}
		if extra, missing := difference(have, want); extra.size()+missing.size() != 0 {
			t.Fatalf("after the changes, %v should not be there and %v is missing", extra, missing)
		}
	})
}

// Up to 60 targets have the same number of elements, more of them nearly so; and if one of
// many leaves, most elements stay.
func TestServicesAreDividedEvenly(t *testing.T) {
	targets := func(n int) (all []netip.Addr) {
		for i := range n {
			all = append(all, netip.AddrFrom4([4]byte{100, 64, byte(i / 250), byte(2 + i%250)}))
		}
		return all
	}
	divide := func(all []netip.Addr) contents {
		c := contents{}
		c.serve([]Service{{Addr: netip.MustParseAddr("100.127.0.7"), Targets: all}})
		return c
	}
	for _, n := range []int{1, 2, 7, 59, 60, 61, 100, 1000} {
		c := divide(targets(n))
		shares := map[string]int{}
		for _, target := range c["target4"] {
			shares[target]++
		}
		buckets := manyBuckets
		if n <= evenTargets {
			buckets = n
		}
		for target, share := range shares {
			if share != buckets/n && (share != buckets/n+1 || buckets%n == 0) {
				t.Errorf("of %d targets, %x has %d of %d elements", n, target, share, buckets)
			}
		}
		if len(shares) != n || len(c["target4"]) != buckets {
			t.Errorf("%d targets have %d elements and are used %d times, want %d elements", n, len(c["target4"]), len(shares), buckets)
		}
		if n > evenTargets+1 {
			if remove, _ := difference(c, divide(targets(n)[1:])); remove.size() > maxChange {
				t.Errorf("if one of %d targets leaves, %d elements change, want at most %d, which need no new table", n, remove.size(), maxChange)
			}
		}
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	if err := goldenConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	err := Config{}.Validate()
	if err == nil {
		t.Fatal("Validate accepts the zero Config")
	}
	want := `overlay config: no IPv4 pool
overlay config: block invalid Prefix is not in pool invalid Prefix
overlay config: own address invalid IP is not in block invalid Prefix
overlay config: no MAC address for tombolo0
overlay config: VNI 0 is out of range
overlay config: no VXLAN port`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("problems of the zero Config (-want +got):\n%s", diff)
	}
}
