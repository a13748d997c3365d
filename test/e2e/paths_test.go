package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/linker/api"
	"tombolo/test/cli"
)

// namedWithin is the time within which a fault of the network must be named.
const namedWithin = 30 * time.Second

// inUnderlay runs a command in the network between the hosts.
func inUnderlay(t *testing.T, argv ...string) {
	t.Helper()
	err := lab.InUnderlay(func() error {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", argv, err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// block makes the network between the hosts drop packets that match, until the returned function
// is called.
func block(t *testing.T, match string) (open func()) {
	t.Helper()
	inUnderlay(t, "nft", "table bridge faults { chain forward { type filter hook forward priority 0; "+match+" drop; }; }")
	opened := false
	open = func() {
		if !opened {
			opened = true
			inUnderlay(t, "nft", "delete table bridge faults")
		}
	}
	t.Cleanup(open)
	return open
}

// linkerStatus returns the state of a host's linker, and its problems in one text.
func linkerStatus(ctx context.Context, h lab.Host) (s api.Status, problems string, err error) {
	client := api.NewClient(h.LinkerSocket())
	defer client.Close()
	s, err = client.Status(ctx)
	return s, fmt.Sprint(s.Problems), err
}

// names waits until a host's linker names a fault with all of these words, and returns how ready
// it is.
func names(t *testing.T, h lab.Host, words ...string) (ready bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), namedWithin)
	defer cancel()
	err := cli.Until(ctx, func() error {
		s, problems, err := linkerStatus(ctx, h)
		ready = s.Ready
		if err != nil {
			return err
		}
		for _, word := range words {
			if !strings.Contains(problems, word) {
				return fmt.Errorf("%s does not say %q: %s", h.Name, word, problems)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return ready
}

func quiet(t *testing.T, hosts ...lab.Host) {
	t.Helper()
	for _, h := range hosts {
		if s, problems, err := linkerStatus(t.Context(), h); err != nil || len(s.Problems) > 0 {
			t.Errorf("%s has the problems %s (%v), want none", h.Name, problems, err)
		}
	}
}

func TestABlockedDirectionIsNamed(t *testing.T) {
	h1, h2, h3 := testLab.Hosts[0], testLab.Hosts[1], testLab.Hosts[2]
	quiet(t, h1, h2, h3)
	way := fmt.Sprintf("from %s to %s", h1.Underlay, h2.Underlay)
	open := block(t, fmt.Sprintf("ip saddr %s ip daddr %s udp dport 8480", h1.Underlay, h2.Underlay))
	began := time.Now()
	if names(t, h1, "no packet of any size from this host reaches h2", "UDP port 8480 is blocked "+way) {
		t.Error("h1 is ready, although its packets do not reach h2")
	}
	if names(t, h2, "no packet of any size from h1 reaches this host", "UDP port 8480 is blocked "+way) {
		t.Error("h2 is ready, although it is not reached by h1")
	}
	t.Logf("named after %v", time.Since(began).Round(time.Second))
	quiet(t, h3)
	file := compose(t, "across", `
  web: {image: %IMAGE%, command: [serve, "80"], deploy: {replicas: 3}}
`)
	for _, command := range []string{"up", "ps"} {
		r, err := tombolo.Run(t.Context(), "-f", file, command)
		text := r.Stdout + r.Stderr
		if err != nil || r.Code != 0 {
			t.Errorf("%s: exit code %d, %v: %s", command, r.Code, err, text)
		}
		for _, word := range []string{"warning: host h1 is not ready: path-blocked h2", "warning: host h2 is not ready: path-blocked h1", way} {
			if !strings.Contains(text, word) {
				t.Errorf("%s does not say %q: %s", command, word, text)
			}
		}
	}
	open()
	for _, h := range testLab.Hosts {
		waitReady(t, h)
	}
	quiet(t, h1, h2, h3)
}

func TestLargePacketsThatAreLostAreNamed(t *testing.T) {
	h1, h2 := testLab.Hosts[0], testLab.Hosts[1]
	way := fmt.Sprintf("from %s to %s, UDP port 8480", h1.Underlay, h2.Underlay)
	open := block(t, fmt.Sprintf("ip saddr %s ip daddr %s udp dport 8480 ip length > 1000", h1.Underlay, h2.Underlay))
	began := time.Now()
	if !names(t, h1, "packets of more than 9", " bytes to h2 do not arrive", way, "1000 bytes") {
		t.Error("h1 is not ready, although smaller packets reach h2")
	}
	names(t, h2, "packets of more than 9", " bytes from h1 do not arrive", way)
	t.Logf("named after %v", time.Since(began).Round(time.Second))
	soon(t, func(context.Context) error { return routeMTU(t, h1, h2, 942, 950) })
	open()
	soon(t, func(ctx context.Context) error {
		for _, h := range []lab.Host{h1, h2} {
			s, problems, err := linkerStatus(ctx, h)
			if err != nil {
				return err
			}
			if len(s.Problems) > 0 {
				return fmt.Errorf("%s still has the problems %s", h.Name, problems)
			}
		}
		return routeMTU(t, h1, h2, 0, 0)
	})
}

// The switch between the hosts carries smaller packets than their interfaces, and says nothing.
func TestASwitchWithASmallerMTUIsNamed(t *testing.T) {
	setMTU := func(mtu string) {
		for _, h := range testLab.Hosts {
			inUnderlay(t, "ip", "link", "set", h.Name, "mtu", mtu)
		}
	}
	t.Cleanup(func() { setMTU("1500") })
	setMTU("1300")
	for _, h := range testLab.Hosts[:2] {
		if !names(t, h, "packets of more than 12", " bytes to h3 do not arrive", " bytes from h3 do not arrive", "interfaces carry 1450", "UDP port 8480") {
			t.Errorf("%s is not ready, although smaller packets reach h3", h.Name)
		}
		soon(t, func(context.Context) error { return routeMTU(t, h, testLab.Hosts[2], 1242, 1254) })
	}
}

// A host whose interface carries less than those of the others tells so, and gets no larger packets.
func TestHostsTellTheirMTU(t *testing.T) {
	h1, h3 := testLab.Hosts[0], testLab.Hosts[2]
	inHost(t, h3, "ip", "link", "set", "eth0", "mtu", "1400")
	t.Cleanup(func() { inHost(t, h3, "ip", "link", "set", "eth0", "mtu", "1500") })
	ctx, cancel := context.WithTimeout(t.Context(), namedWithin+patience)
	defer cancel()
	if err := cli.Until(ctx, func() error { return routeMTU(t, h1, h3, 1350, 1350) }); err != nil {
		t.Error(err)
	}
}

// routeMTU checks that the route of one host to another's containers is bound to an MTU from
// least to most; 0: to none.
func routeMTU(t *testing.T, from, to lab.Host, least, most int) error {
	t.Helper()
	s, _, err := linkerStatus(t.Context(), to)
	if err != nil {
		return err
	}
	route := strings.Fields(inHost(t, from, "ip", "route", "show", s.Host.Block4.String()))
	mtu := 0
	if i := slices.Index(route, "mtu"); i >= 0 {
		if _, err := fmt.Sscan(route[i+2], &mtu); err != nil { // "mtu lock 950"
			return err
		}
	}
	if mtu < least || mtu > most {
		return fmt.Errorf("%s has the route %v to %s, want one with an MTU of %d to %d", from.Name, route, to.Name, least, most)
	}
	return nil
}

// soon waits as long as a fault may take to be named, or to be forgotten.
func soon(t *testing.T, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), namedWithin)
	defer cancel()
	if err := cli.Until(ctx, func() error { return check(ctx) }); err != nil {
		t.Error(err)
	}
}
