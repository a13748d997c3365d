package contest

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/overlay"
)

var (
	forward = overlay.Repair{Kind: overlay.KindSysctl, Thing: "net.ipv4.ip_forward = 1"}
	route   = overlay.Repair{Kind: overlay.KindRoute, Thing: "100.64.2.0/24"}
)

func TestThingsArePutRightOften(t *testing.T) {
	start := time.Unix(0, 0)
	var c Counts
	for i := range 4 {
		c.Note([]overlay.Repair{route, route}, start.Add(time.Duration(i)*time.Minute))
	}
	c.Note([]overlay.Repair{forward}, start)
	c.Note([]overlay.Repair{forward}, start.Add(time.Minute))
	for _, step := range []struct {
		name  string
		after time.Duration
		want  []Contested
	}{
		{"four times, and twice", 4 * time.Minute, []Contested{{route, 4}}},
		{"the first is forgotten", Window + time.Second, []Contested{{route, 3}}},
		{"two are forgotten", Window + 2*time.Minute - time.Second, nil},
	} {
		if diff := cmp.Diff(step.want, c.Contested(start.Add(step.after))); diff != "" {
			t.Errorf("%s: contested things (-want +got):\n%s", step.name, diff)
		}
	}
	c.forget(start.Add(2 * Window))
	if len(c.times) != 0 {
		t.Errorf("after the window %d things are remembered, want none", len(c.times))
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	var c Counts
	for i := range 2 * maxThings {
		c.Note([]overlay.Repair{{Kind: overlay.KindRoute, Thing: string(rune(i))}}, now)
	}
	if len(c.times) != maxThings {
		t.Errorf("%d things are remembered, want %d", len(c.times), maxThings)
	}
	known := overlay.Repair{Kind: overlay.KindRoute, Thing: string(rune(1))}
	for range 2 * maxTimes {
		now = now.Add(time.Second)
		c.Note([]overlay.Repair{known}, now)
	}
	if got := len(c.times[known]); got != maxTimes {
		t.Errorf("%d repairs of one thing are remembered, want %d", got, maxTimes)
	}
}

func TestSuspectsOfASysctl(t *testing.T) {
	root := fstest.MapFS{
		"etc/sysctl.conf":                  {Data: []byte("# net.ipv4.ip_forward=0\nnet.ipv4.ip_forward=1\n")},
		"etc/sysctl.d/99-cis.conf":         {Data: []byte("net.ipv4.ip_forward = 0\nnet.ipv6.conf.all.forwarding = 0\n")},
		"etc/ufw/sysctl.conf":              {Data: []byte("net/ipv4/ip_forward=0\n")},
		"usr/lib/sysctl.d/50-default.conf": {Data: []byte("-net.ipv4.conf.*.arp_filter = 0\nnet.ipv4.conf.default.arp_filter=0\n")},
	}
	for name, want := range map[string][]string{
		"net.ipv4.ip_forward": {
			"net.ipv4.ip_forward = 0 in /etc/ufw/sysctl.conf", "net.ipv4.ip_forward = 0 in /etc/sysctl.d/99-cis.conf",
		},
		"net.ipv4.conf.tombolo0.forwarding": {
			"net.ipv4.conf.tombolo0.forwarding = 0 in /etc/ufw/sysctl.conf", "net.ipv4.conf.tombolo0.forwarding = 0 in /etc/sysctl.d/99-cis.conf",
		},
		"net.ipv6.conf.all.forwarding":            {"net.ipv6.conf.all.forwarding = 0 in /etc/sysctl.d/99-cis.conf"},
		"net.ipv4.conf.tb0123456789ab.arp_filter": {"net.ipv4.conf.tb0123456789ab.arp_filter = 0 in /usr/lib/sysctl.d/50-default.conf", "net.ipv4.conf.tb0123456789ab.arp_filter = 0 in /usr/lib/sysctl.d/50-default.conf"},
		"net.ipv6.conf.eth0.accept_ra":            nil,
	} {
		if diff := cmp.Diff(want, suspected(root, overlay.Repair{Kind: overlay.KindSysctl, Thing: name + " = 1"})); diff != "" {
			t.Errorf("suspects of %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSuspectsOfARoute(t *testing.T) {
	const networkd, manages, unmanaged = "run/systemd/netif/state", "systemd-networkd, which may manage tombolo0 and tb*", "etc/systemd/network/" + NetworkdFile
	for name, test := range map[string]struct {
		root fstest.MapFS
		want []string
	}{
		"no network manager":                  {fstest.MapFS{}, nil},
		"networkd":                            {fstest.MapFS{networkd: {}}, []string{manages}},
		"networkd that leaves our interfaces": {fstest.MapFS{networkd: {}, unmanaged: {}}, []string{"systemd-networkd with ManageForeignRoutes=yes"}},
		"networkd that leaves our routes as well": {fstest.MapFS{networkd: {}, unmanaged: {},
			"etc/systemd/networkd.conf":                   {Data: []byte("[Network]\nManageForeignRoutes=yes\n")},
			"etc/systemd/networkd.conf.d/10-tombolo.conf": {Data: []byte("[Network]\nManageForeignRoutes=no\n")}}, nil},
		"NetworkManager": {fstest.MapFS{"run/NetworkManager/devices": {}}, []string{"NetworkManager"}},
	} {
		if diff := cmp.Diff(test.want, suspected(test.root, route)); diff != "" {
			t.Errorf("%s: suspects (-want +got):\n%s", name, diff)
		}
	}
}

func suspected(root fstest.MapFS, thing overlay.Repair) (whats []string) {
	for _, s := range Suspects(root, thing) {
		whats = append(whats, s.What)
	}
	return whats
}
