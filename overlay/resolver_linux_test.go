package overlay

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	anyResolver = "127.0.0.11:53"
	randomPort  = "127.0.0.11:40053" // where Docker's resolver listens in these tests
)

// dockersRules are the rules that an Engine makes in a sandbox for its own resolver
// (libnetwork's setupNAT). The second kind is that of Engine 29 with its nftables backend.
var dockersRules = map[string]string{
	"iptables": `
iptables -t nat -N DOCKER_OUTPUT && iptables -t nat -I OUTPUT -d 127.0.0.11 -j DOCKER_OUTPUT
iptables -t nat -N DOCKER_POSTROUTING && iptables -t nat -I POSTROUTING -d 127.0.0.11 -j DOCKER_POSTROUTING
for p in udp tcp; do
	iptables -t nat -I DOCKER_OUTPUT -d 127.0.0.11 -p $p --dport 53 -j DNAT --to-destination 127.0.0.11:40053
	iptables -t nat -I DOCKER_POSTROUTING -s 127.0.0.11 -p $p --sport 40053 -j SNAT --to-source :53
done`,
	"nftables": `nft -f - <<E
table ip docker-dns {
	chain dns-dnat {
		type nat hook output priority -100
		ip daddr 127.0.0.11 udp dport 53 counter dnat to 127.0.0.11:40053
		ip daddr 127.0.0.11 tcp dport 53 counter dnat to 127.0.0.11:40053
	}
	chain dns-snat {
		type nat hook postrouting priority 100
		ip saddr 127.0.0.11 udp sport 40053 counter snat to :53
		ip saddr 127.0.0.11 tcp sport 40053 counter snat to :53
	}
}
E`,
}

// startDockersResolver starts a server in a sandbox in place of Docker's own resolver, which
// answers with the loopback address that it sees.
func startDockersResolver(t *testing.T, box netns.NsHandle, rules string) {
	t.Helper()
	listen(t, box, randomPort)
	runIn(t, box, dockersRules[rules])
	for _, network := range []string{"udp", "tcp"} {
		reaches(t, box, network, anyResolver, "127.0.0.1")
		reaches(t, box, network, randomPort, "127.0.0.1")
	}
}

// guarded reports whether every query to 127.0.0.11 from e's container goes to the linker, with
// e's address, and nothing to Docker's resolver.
func guarded(t *testing.T, box netns.NsHandle, e Endpoint) error {
	t.Helper()
	var errs []error
	for _, network := range []string{"udp", "tcp"} {
		if got, err := ask(t, box, network, anyResolver, ample); err != nil || got != e.Addr4.String() {
			errs = append(errs, fmt.Errorf("%s query to 127.0.0.11: the server saw %q: %w", network, got, err))
		}
		if got, err := ask(t, box, network, randomPort, patience); err == nil {
			errs = append(errs, fmt.Errorf("Docker's resolver saw a %s query of %s on its random port", network, got))
		}
	}
	return errors.Join(errs...)
}

func mustBeGuarded(t *testing.T, box netns.NsHandle, e Endpoint) {
	t.Helper()
	if err := guarded(t, box, e); err != nil {
		t.Error(err)
	}
}

// newResolverLab returns a host where the linker answers queries, and a container that has been
// started and not equipped. Its Engine makes its resolver in the way that rules names.
func newResolverLab(t *testing.T, rules string) (*labHost, Endpoint, netns.NsHandle) {
	t.Helper()
	h := newLab(t, 1).hosts[0]
	h.set()
	listen(t, h.ns, at(Gateway4, 53))
	e := h.endpoint(5)
	var box netns.NsHandle
	box, e.Sandbox = sandbox(t)
	h.attach(e)
	if rules != "" {
		startDockersResolver(t, box, rules)
	}
	h.start(e, box)
	return h, e, box
}

// start populates e's sandbox and adds the routes, as Docker does, and waits for the carrier.
func (h *labHost) start(e Endpoint, box netns.NsHandle) {
	h.t.Helper()
	h.populate(e, box)
	runIn(h.t, box, "ip route add 169.254.1.1 dev eth0 scope link && ip route add default via 169.254.1.1")
	waitFor(h.t, "the interface had a carrier", func() bool { return hasCarrier(h.ns, e) })
}

// Whatever Docker did for its own resolver, 127.0.0.11 in a container is the linker's.
func TestDockersResolverIsReplaced(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{"", "iptables", "nftables"} {
		t.Run(rules, func(t *testing.T) {
			t.Parallel()
			h, e, box := newResolverLab(t, rules)
			h.keep()
			waitFor(t, "the container was equipped", func() bool {
				h.overlay.mu.Lock()
				defer h.overlay.mu.Unlock()
				return h.overlay.sandboxes[e.ID].sandbox == e.Sandbox
			})
			mustBeGuarded(t, box, e)
			h.overlay.equip(true)
			mustBeGuarded(t, box, e)
		})
	}
}

// Docker programs the sandbox again when it restarts, and when the container joins another of its
// networks.
func TestDockersLaterRulesChangeNothing(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{"iptables", "nftables"} {
		t.Run(rules, func(t *testing.T) {
			t.Parallel()
			h, e, box := newResolverLab(t, "")
			h.overlay.equip(false)
			mustBeGuarded(t, box, e)
			listen(t, box, randomPort)
			runIn(t, box, dockersRules[rules])
			mustBeGuarded(t, box, e)
			h.overlay.equip(true)
			mustBeGuarded(t, box, e)
		})
	}
}

// A linker adopts the sandboxes of its predecessor, and repairs what is missing there.
func TestResolverAfterARestart(t *testing.T) {
	t.Parallel()
	h, e, box := newResolverLab(t, "iptables")
	table := func() string { return string(runIn(t, box, "nft -a list table inet tombolo")) }
	h.overlay.equip(false)
	before := table()
	for _, visit := range []func(){func() { h.restart(); h.set(); h.overlay.equip(false) }, func() { h.overlay.equip(true) }} {
		visit()
		mustBeGuarded(t, box, e)
		if after := table(); after != before { // each table that is written has a handle of its own
			t.Errorf("a visit without a reason changed the table from %s to %s", before, after)
		}
	}
	runIn(t, box, "nft flush chain inet tombolo docker_resolver")
	h.restart()
	h.set()
	h.overlay.equip(false)
	mustBeGuarded(t, box, e)
	runIn(t, box, "nft delete table inet tombolo")
	if guarded(t, box, e) == nil {
		t.Error("the test cannot tell whether the table is there")
	}
	h.overlay.equip(true)
	mustBeGuarded(t, box, e)
}

// A container that leaves the network and runs on finds the names of Docker's other networks
// again; one that comes back, with another address, does not.
func TestResolverOfAContainerThatLeaves(t *testing.T) {
	t.Parallel()
	h, e, box := newResolverLab(t, "iptables")
	h.overlay.equip(false)
	mustBeGuarded(t, box, e)
	must(t, h.overlay.Detach(t.Context(), e.ID))
	h.overlay.equip(false) // the linker compiles its next Config a little later
	h.config.Endpoints = nil
	h.set()
	h.overlay.equip(false)
	reaches(t, box, "udp", anyResolver, "127.0.0.1")
	again := h.endpoint(6)
	again.Sandbox = e.Sandbox
	h.attach(again)
	h.start(again, box)
	h.overlay.equip(false)
	mustBeGuarded(t, box, again)
}

// Nothing of ours stays in the sandboxes of containers that run on after Clear, whether this Overlay
// or one before it equipped them.
func TestClearReleasesContainers(t *testing.T) {
	t.Parallel()
	for name, clear := range map[string]func(*labHost, Endpoint) error{
		"the same Overlay": func(h *labHost, _ Endpoint) error { return h.overlay.Clear(t.Context()) },
		"a new Overlay": func(h *labHost, e Endpoint) error {
			h.restart()
			return h.overlay.Clear(t.Context(), e.Sandbox, "/nowhere/to/be/found")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, e, box := newResolverLab(t, "iptables")
			h.overlay.equip(false)
			mustBeGuarded(t, box, e)
			must(t, clear(h, e))
			reaches(t, box, "udp", anyResolver, "127.0.0.1")
			if tables := string(runIn(t, box, "nft list tables")); strings.Contains(tables, "inet tombolo") {
				t.Errorf("the sandbox has the tables %s, want none of ours", tables)
			}
		})
	}
}

// A visit that failed is repeated soon: the container needs its IPv6 address and its resolver.
func TestFailedVisitsAreRepeatedSoon(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	late := h.endpoint(5)
	box, path := sandbox(t)
	late.Sandbox = filepath.Join(t.TempDir(), "box")
	failed := make(chan bool, 100) // more than the visits of this test
	h.overlay.incomplete = func(errs map[string]error) {
		select {
		case failed <- len(errs) > 0:
		default:
		}
	}
	h.set()
	h.keep()
	h.attach(late)
	h.start(late, box)
	for !<-failed {
	}
	must(t, os.Symlink(path, late.Sandbox))
	waitFor(t, "the container had IPv6", func() bool { return has6(t, box, late) })
	waitFor(t, "the last report was empty", func() bool { return !<-failed })
}

func TestVisitsAreRepeatedWithGrowingPauses(t *testing.T) {
	now := time.Unix(0, 0)
	last := visit{}
	for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000} {
		last = visit{sandbox: "box", err: errors.New("busy")}.after(last, now)
		if got := (sandboxes{"e": last}).next(now); got != want*time.Millisecond {
			t.Errorf("after %d failures the next visit is due in %v, want %v", i+1, got, want*time.Millisecond)
		}
	}
	e := []Endpoint{{ID: "e", Sandbox: "box"}}
	if got := (sandboxes{"e": last}).due(slices.Clone(e), false, now); len(got) != 0 {
		t.Error("a visit is due before its pause has ended")
	}
	if got := (sandboxes{"e": last}).due(slices.Clone(e), false, now.Add(recheck)); len(got) != 1 {
		t.Error("no visit is due after its pause has ended")
	}
	if got := (visit{sandbox: "box"}).after(last, now); got.failures != 0 {
		t.Errorf("after a success %d failures are counted, want none", got.failures)
	}
}

// Where the table cannot be written, Docker's resolver is closed all the same.
func TestDockersResolverIsClosedAfterAFailure(t *testing.T) {
	t.Parallel()
	h, e, box := newResolverLab(t, "iptables")
	enter(t, box, func() {
		gone := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "gone0"}}
		if err := guardResolver(gone, e); err == nil || !strings.Contains(err.Error(), "closed instead") {
			t.Errorf("guardResolver for a missing interface = %v", err)
		}
	})
	for _, network := range []string{"udp", "tcp"} {
		cannotReach(t, box, network, anyResolver)
		cannotReach(t, box, network, randomPort)
	}
	h.overlay.equip(false)
	mustBeGuarded(t, box, e)
}

// Where the resolver of Docker can neither be replaced nor closed, the container must not start: it
// would have a way to the outside's DNS, and read the names of its neighbours. The linker lacks a
// right in the sandbox here.
func TestAContainerThatReachesDockersResolverMustNotStart(t *testing.T) {
	t.Parallel()
	h, e, box := newResolverLab(t, "iptables")
	var err error
	withoutNetAdmin(t, func() { err = h.overlay.Equip(t.Context(), e) })
	reaches(t, box, "udp", anyResolver, "127.0.0.1") // so it is open indeed
	if !errors.Is(err, ErrResolverOpen) {
		t.Errorf("Equip of a container that reaches Docker's resolver = %v, want %v", err, ErrResolverOpen)
	}
	if failed := h.overlay.failedVisits()[e.ID]; !errors.Is(failed, ErrResolverOpen) {
		t.Errorf("the container's visit is reported with %v, want %v", failed, ErrResolverOpen)
	}
	must(t, h.overlay.Equip(t.Context(), e))
	mustBeGuarded(t, box, e)
}

// withoutNetAdmin runs f on a thread without the capability to change networks.
func withoutNetAdmin(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	must(t, unix.Capget(&header, &before[0]))
	dropped := before
	dropped[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	must(t, unix.Capset(&header, &dropped[0]))
	defer func() { must(t, unix.Capset(&header, &before[0])) }()
	f()
}

// A container whose sandbox cannot be entered is reported, until it ends.
func TestAContainerThatCannotBeEnteredIsReported(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	var reported map[string]error
	h.overlay = New(Options{Namespace: h.ns, Incomplete: func(failed map[string]error) { reported = failed }})
	lost := h.endpoint(5)
	box, _ := sandbox(t)
	lost.Sandbox = "/nowhere/to/be/found"
	h.set()
	h.attach(lost)
	h.start(lost, box)
	h.overlay.equip(false)
	if err := reported[lost.ID]; err == nil || !strings.Contains(err.Error(), lost.Sandbox) {
		t.Errorf("reported %v, want the endpoint and its sandbox", reported)
	}
	must(t, h.overlay.Detach(t.Context(), lost.ID))
	h.config.Endpoints = nil
	h.overlay.equip(true)
	if len(reported) != 0 {
		t.Errorf("reported %v after the endpoint was detached, want nothing", reported)
	}
}

// The redirection needs route_localnet on the container's interface. What arrives there reaches
// nothing that listens on the container's loopback address.
func TestTheContainersLoopbackStaysItsOwn(t *testing.T) {
	t.Parallel()
	h, e, box := newResolverLab(t, "")
	h.overlay.equip(false)
	loopback := netip.MustParseAddr("127.0.0.1")
	heard, own := hear(t, box, at(loopback, 7)), hear(t, box, at(e.Addr4, 7))
	mac := attrsOf(t, box, "eth0").HardwareAddr
	runIn(t, h.ns, "tc qdisc del dev "+HostSide(e.ID)+" clsact") // it would drop the test's unmarked frames
	enter(t, h.ns, func() {
		link, err := netlink.LinkByName(HostSide(e.ID))
		must(t, err)
		send := frames(t, link)
		send(ethernet(mac, link.Attrs().HardwareAddr, udpPacket(h.Overlay4, loopback)))
		send(ethernet(mac, link.Attrs().HardwareAddr, udpPacket(h.Overlay4, e.Addr4)))
	})
	if got := <-own; got != h.Overlay4.String() {
		t.Fatalf("the container's own address heard %s, want %s", got, h.Overlay4)
	}
	select {
	case got := <-heard:
		t.Errorf("the container's loopback heard %s from outside", got)
	case <-time.After(patience):
	}
}
