package overlay

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestCheckPoolNamesTheOverlappingRoute(t *testing.T) {
	t.Parallel()
	h := newLab(t, 2).hosts[0]
	h.set()
	h.run(h.endpoint(5))
	check := func() error {
		return inside(h.ns, func() error { return CheckPool(h.config.Pool4, netip.Prefix{}, h.config.Pool6) })
	}
	if err := check(); err != nil {
		t.Errorf("CheckPool complains about our own routes or the default route: %v", err)
	}
	for _, c := range []struct{ make, undo, says string }{
		{"ip route add 100.96.0.0/16 dev eth0", "ip route del 100.96.0.0/16", "100.96.0.0/16 on eth0 (table 254)"},
		{"ip route add 100.100.1.1 dev eth0 table 52", "ip route del 100.100.1.1 table 52", "100.100.1.1/32 on eth0 (table 52)"},
		{"ip rule add pref 5270 lookup 52; ip route add 100.100.1.1 dev eth0 table 52", "ip route del 100.100.1.1 table 52; ip rule del pref 5270", "by the rule 5270: from all lookup 52"},
		{"ip rule add pref 5270 lookup 53; ip route add default dev eth0 table 53", "ip rule del pref 5270; ip route del default table 53", "0.0.0.0/0 on eth0 (table 53), by the rule 5270: from all lookup 53"},
		{"ip addr add 100.77.0.1/32 dev lo", "ip addr del 100.77.0.1/32 dev lo", "100.77.0.1/32 on lo (table 255)"},
		{"ip route add 100.0.0.0/8 dev eth0", "ip route del 100.0.0.0/8", "100.0.0.0/8 on eth0 (table 254)"},
		{"ip route add blackhole fd42:1:2:9::/64", "ip route del blackhole fd42:1:2:9::/64", "fd42:1:2:9::/64"},
	} {
		runIn(t, h.ns, c.make)
		err := check()
		if !errors.Is(err, ErrPoolOverlap) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("after %q: CheckPool = %v, want an ErrPoolOverlap that names %q", c.make, err, c.says)
		}
		runIn(t, h.ns, c.undo)
	}
	runIn(t, h.ns, "ip route add 0.0.0.0/1 dev eth0 && ip route add 128.0.0.0/1 dev eth0")
	if err := check(); err != nil {
		t.Errorf("CheckPool complains about a default route in two halves: %v", err)
	}
}

// Rules like Tailscale's are named. Rules for other addresses, and for interfaces that are not ours,
// are none of our business.
func TestPoolDropsNamesTheRule(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	look := func() string {
		var found []PoolDrop
		enter(t, h.ns, func() {
			var err error
			found, err = PoolDrops(t.Context(), h.config.Pool4, h.config.Pool6)
			must(t, err)
		})
		return fmt.Sprint(found)
	}
	runIn(t, h.ns, `nft -f - <<-x
	table ip mine {
		chain in {
			type filter hook input priority 0;
			ip saddr 192.0.2.0/24 drop
			iifname "eth0" ip saddr 100.64.0.0/10 drop
			oifname "tailscale0" ip saddr 100.64.0.0/10 drop
			ip saddr 100.64.0.0/10 accept
		}
	}
	x`)
	if got := look(); got != "[]" {
		t.Errorf("PoolDrops = %s, want none", got)
	}
	for _, c := range []struct{ make, says string }{
		{`nft add rule ip mine in iifname != '"tailscale0*"' ip saddr 100.64.0.0/10 counter drop`, `the rule "ip saddr 100.64.0.0/10 drop" in chain in of table ip mine`},
		{`nft add rule ip mine in ip daddr 100.64.7.7 reject`, `the rule "ip daddr 100.64.7.7/32 reject" in chain in of table ip mine`},
		{"iptables-nft -N ts-input && iptables-nft -A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP", `the rule "ip saddr 100.64.0.0/10 drop" in chain ts-input of table ip filter`},
		{"ip6tables-nft -A INPUT -s fd42:1:2::/48 -j DROP", `the rule "ip6 saddr fd42:1:2::/48 drop" in chain INPUT of table ip6 filter`},
	} {
		runIn(t, h.ns, c.make)
		if got := look(); !strings.Contains(got, c.says) {
			t.Errorf("after %s: PoolDrops = %s, want %s", c.make, got, c.says)
		}
	}
}

func TestLegacyDropsNamesTheRule(t *testing.T) {
	saved := `*filter
:INPUT ACCEPT [0:0]
-A INPUT -s 192.0.2.0/24 -j DROP
-A INPUT -s 100.64.0.0/10 -i eth0 -j DROP
-A INPUT ! -s 100.64.0.0/10 -j DROP
[7:420] -A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP
[0:0] -A ts-forward -s 100.64.0.0/10 -o tailscale0 -j DROP
COMMIT
`
	want := `[{the rule "-A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP" in table filter of iptables 7}]`
	if got := fmt.Sprint(legacyDrops(saved, []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10")})); got != want {
		t.Errorf("legacyDrops = %s, want %s", got, want)
	}
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 1, 2, 3, 4})
	f.Add([]byte{5, 0, 1, 0x80, 1, 0, 0, 0, 4, 0, 2, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		addElements(contents{}, "senders4", b)
		_, _, _ = parseCounter(b)
	})
}
