package attach_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tombolo/linker/attach"
	"tombolo/linker/attach/attachtest"
	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// bench is a table over fakes. Its files in dir let a test open it again.
type bench struct {
	*attach.Table
	dir    string
	ifaces *attachtest.Interfaces
}

func open(t *testing.T, dir string) *bench {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	addrs, err := ipam.Open(filepath.Join(dir, "ipam.json"), log)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: dir, ifaces: &attachtest.Interfaces{}}
	b.Table, err = attach.Open(attach.Config{
		File: filepath.Join(dir, "endpoints.json"), Addresses: addrs, Interfaces: b.ifaces,
		Sockets:        attachtest.Sockets{"22/tcp": "sshd (pid 7)", "49152/tcp": "someone"},
		Describe:       func(id string) string { return map[string]string{epB: "container web"}[id] },
		WithoutService: func(id string) bool { return id == epC },
		Log:            log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.UseBlock(netip.MustParsePrefix("100.64.7.0/24"), netip.MustParsePrefix("fd00:1:2:0:7::/80")); err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	epA = strings.Repeat("a", 64)
	epB = strings.Repeat("b", 64)
	epC = strings.Repeat("c", 64)
)

// make reserves an address for an endpoint, creates the endpoint and joins it.
func (b *bench) make(t *testing.T, id string, ports ...record.PublishedPort) (attach.Endpoint, error) {
	t.Helper()
	addr, err := b.Reserve(t.Context(), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	ep := attach.Endpoint{ID: id, Addr4: addr, MAC: id[:8], Published: ports}
	if err := b.Create(t.Context(), ep); err != nil {
		return ep, err
	}
	_, _, err = b.Join(t.Context(), id, "/run/docker/netns/"+id[:8])
	return ep, err
}

func TestEveryStepMayBeRepeated(t *testing.T) {
	b := open(t, t.TempDir())
	for range 2 {
		if _, err := b.make(t, epA); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.ifaces.Attached(); !cmp.Equal(got, []string{epA}) {
		t.Errorf("the endpoints with an interface are %v, want %s", got, epA)
	}
	for range 2 {
		if err := errors.Join(b.Unpublish(t.Context(), epA), b.Leave(t.Context(), epA), b.Delete(t.Context(), epA)); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.ifaces.Attached(); len(got)+len(b.Snapshot()) != 0 {
		t.Errorf("after Delete there are still the interfaces %v and the endpoints %v", got, b.Snapshot())
	}
}

// An Engine calls Publish before a container's process starts, so the container is complete then.
func TestPublishEquipsContainersThatHaveAnInterface(t *testing.T) {
	b := open(t, t.TempDir())
	addr, err := b.Reserve(t.Context(), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Create(t.Context(), attach.Endpoint{ID: epA, Addr4: addr}), b.Publish(t.Context(), epA, nil)); err != nil {
		t.Fatal(err)
	}
	if got := b.ifaces.Equipped(); len(got) != 0 {
		t.Errorf("%v were equipped before they had an interface", got)
	}
	if _, _, err := b.Join(t.Context(), epA, "/run/docker/netns/a"); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), epA, nil); err != nil {
		t.Fatal(err)
	}
	if got := b.ifaces.Equipped(); !cmp.Equal(got, []string{epA}) {
		t.Errorf("Publish equipped %v, want %s", got, epA)
	}
	b.ifaces.EquipErr = overlay.ErrResolverOpen
	if err := b.Publish(t.Context(), epA, nil); !errors.Is(err, overlay.ErrResolverOpen) {
		t.Errorf("Publish of a container that must not start returned %v, want %v", err, overlay.ErrResolverOpen)
	}
}

// An Engine that was restarted under running containers asks for Leave without Unpublish.
func TestLeaveReleasesHostPorts(t *testing.T) {
	b := open(t, t.TempDir())
	if _, err := b.make(t, epA, record.PublishedPort{HostPort: 8080, Port: 80, Proto: "tcp"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Leave(t.Context(), epA); err != nil {
		t.Fatal(err)
	}
	if got := b.Snapshot()[0].Published; len(got) != 0 {
		t.Errorf("an endpoint without an interface still publishes %v", got)
	}
}

func TestEndpointGetsNoAddressOfAnother(t *testing.T) {
	b := open(t, t.TempDir())
	ep, err := b.make(t, epA)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{ep.Addr4.String(): "belongs to endpoint aaaaaaaaaaaa", "100.64.7.99": "not given", "100.64.8.2": "not given"} {
		err := b.Create(t.Context(), attach.Endpoint{ID: epB, Addr4: netip.MustParseAddr(addr)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Create with the address %s returned %v, want an error that says %q", addr, err, want)
		}
	}
	if err := b.Release(ep.Addr4); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(t.Context(), ep.Addr4); err == nil {
		t.Error("Reserve handed out an address that an endpoint has")
	}
	if err := errors.Join(b.Delete(t.Context(), epA), b.Release(ep.Addr4)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(t.Context(), ep.Addr4); err != nil {
		t.Errorf("the address of a deleted endpoint cannot be reserved: %v", err)
	}
}

func TestJoinReportsErrors(t *testing.T) {
	b := open(t, t.TempDir())
	b.ifaces.Err = errors.New("no veth")
	if _, err := b.make(t, epA); err == nil || !strings.Contains(err.Error(), "attach endpoint aaaaaaaaaaaa: no veth") {
		t.Errorf("Join returned %v, want an error that names the endpoint", err)
	}
	if b.Snapshot()[0].Joined {
		t.Error("the endpoint is marked as joined, but has no interface")
	}
	if _, _, err := b.Join(t.Context(), epB, ""); err == nil {
		t.Error("Join accepted an unknown endpoint")
	}
}

func TestPublishedPortIsFreeOrSharedOrRefused(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct {
		name string
		want record.PublishedPort
		got  uint16 // host port
		err  string
	}{
		{"free", record.PublishedPort{HostPort: 81, Port: 80, Proto: "tcp"}, 81, ""},
		{"other protocol", record.PublishedPort{HostPort: 8080, Port: 80, Proto: "udp"}, 8080, ""},
		{"one that a replica has", record.PublishedPort{HostPort: 8080, Port: 80, Proto: "tcp"}, 8080, ""},
		{"one that another container has", record.PublishedPort{HostPort: 8080, Port: 81, Proto: "tcp"}, 0, "port 8080/tcp of this host is taken by container web"},
		{"one that another container has on every address", record.PublishedPort{HostIP: local, HostPort: 8080, Port: 80, Proto: "tcp"}, 0, "taken by container web"},
		{"one on which a process listens", record.PublishedPort{HostPort: 22, Port: 80, Proto: "tcp"}, 0, "taken by sshd (pid 7)"},
		{"any", record.PublishedPort{Port: 80, Proto: "tcp"}, 49153, ""},
		{"any of a range", record.PublishedPort{HostPort: 8079, Last: 8082, Port: 80, Proto: "tcp"}, 8079, ""},
		{"the free one of a range", record.PublishedPort{HostPort: 8080, Last: 8081, Port: 80, Proto: "tcp"}, 8081, ""},
		{"a range without a free one", record.PublishedPort{HostPort: 22, Last: 22, Port: 80, Proto: "tcp"}, 0, "no port of this host from 22 to 22 is free for 80/tcp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, t.TempDir())
			if _, err := b.make(t, epB, record.PublishedPort{HostPort: 8080, Port: 80, Proto: "tcp"}); err != nil {
				t.Fatal(err)
			}
			_, err := b.make(t, epA, tt.want)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Create returned %v, want an error that says %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Publish(t.Context(), epA, []record.PublishedPort{tt.want}); err != nil { // Docker repeats the port here
				t.Fatal(err)
			}
			tt.want.HostPort, tt.want.Last = tt.got, 0
			if diff := cmp.Diff([]record.PublishedPort{tt.want}, b.Snapshot()[0].Published, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("published ports (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPortsAreSharedOnlyByPossibleReplicas(t *testing.T) {
	b := open(t, t.TempDir())
	port := record.PublishedPort{HostPort: 8080, Port: 80, Proto: "tcp"}
	if _, err := b.make(t, epC, port); err != nil {
		t.Fatal(err)
	}
	if _, err := b.make(t, epA, port); err == nil || !strings.Contains(err.Error(), "taken by endpoint cccccccccccc") {
		t.Errorf("Create returned %v, want an error: a container without a service does not share its port", err)
	}
	wish := record.PublishedPort{Port: 80, Proto: "tcp"}
	for _, id := range []string{epA, epB} {
		if _, err := b.make(t, id, wish); err != nil {
			t.Fatal(err)
		}
	}
	eps := b.Snapshot()
	if eps[0].Published[0] == eps[1].Published[0] {
		t.Errorf("two endpoints that asked for any port both got %d", eps[0].Published[0].HostPort)
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	b := open(t, t.TempDir())
	if err := b.CreateNetwork("net1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.make(t, epA, record.PublishedPort{HostPort: 8080, Port: 80, Proto: "tcp"}); err != nil {
		t.Fatal(err)
	}
	again := open(t, b.dir)
	if diff := cmp.Diff(b.Snapshot(), again.Snapshot(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("endpoints after a restart (-before +after):\n%s", diff)
	}
	if again.Network() != "net1" {
		t.Errorf("after a restart the network is %q, want net1", again.Network())
	}
}

func TestASecondNetworkIsRefused(t *testing.T) {
	b := open(t, t.TempDir())
	for _, id := range []string{"net1", "net1"} {
		if err := b.CreateNetwork(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.CreateNetwork("net2"); err == nil || !strings.Contains(err.Error(), "already has a network") {
		t.Errorf("CreateNetwork of a second network returned %v, want an error", err)
	}
	if err := errors.Join(b.DeleteNetwork("net2"), b.DeleteNetwork("net1"), b.CreateNetwork("net2")); err != nil {
		t.Errorf("another network cannot take the place of a deleted one: %v", err)
	}
}

func TestReconcileAdoptsAndDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		gone, err := b.make(t, epA)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.make(t, epB); err != nil {
			t.Fatal(err)
		}
		docker := []attach.DockerEndpoint{
			{ID: epB},
			{ID: epC, Addr4: netip.MustParseAddr("100.64.7.77"), MAC: "02:42", Published: []record.PublishedPort{{HostPort: 99, Port: 80, Proto: "tcp"}}},
		}
		b.Reconcile(t.Context(), "net", docker)
		if got := ids(b.Snapshot()); !cmp.Equal(got, []string{epA, epB, epC}) {
			t.Fatalf("right after the first Reconcile the endpoints are %v; want all three, as nothing may be deleted within Grace", got)
		}
		if _, err := b.Reserve(t.Context(), netip.MustParseAddr("100.64.7.77")); err == nil {
			t.Error("Reserve handed out the address of an adopted endpoint")
		}
		time.Sleep(attach.Grace)
		b.Reconcile(t.Context(), "net", docker)
		if got := ids(b.Snapshot()); !cmp.Equal(got, []string{epB, epC}) {
			t.Errorf("after Grace the endpoints are %v, want those that Docker knows", got)
		}
		if got := b.ifaces.Attached(); !cmp.Equal(got, []string{epB}) {
			t.Errorf("after Grace the endpoints with an interface are %v, want only %s", got, epB)
		}
		if _, err := b.Reserve(t.Context(), gone.Addr4); err != nil {
			t.Errorf("the address of the deleted endpoint is still held: %v", err)
		}
	})
}

// The sandbox of an adopted endpoint may become known only after the endpoint.
func TestAdoptedEndpointsGetTheirSandbox(t *testing.T) {
	b := open(t, t.TempDir())
	docker := attach.DockerEndpoint{ID: epC, Addr4: netip.MustParseAddr("100.64.7.77")}
	for _, sandbox := range []string{"", "/run/docker/netns/c", ""} {
		docker.Sandbox = sandbox
		b.Reconcile(t.Context(), "net", []attach.DockerEndpoint{docker})
	}
	if got := b.Snapshot()[0].Sandbox; got != "/run/docker/netns/c" {
		t.Errorf("the sandbox of the adopted endpoint is %q, want that of its container", got)
	}
}

func TestChangesCountAsOneForTheWatcher(t *testing.T) {
	b := open(t, t.TempDir())
	changes, stop := b.Watch()
	defer stop()
	if _, err := b.make(t, epA); err != nil {
		t.Fatal(err)
	}
	<-changes
	select {
	case <-changes:
		t.Error("the watcher was told twice of changes that it had not received yet")
	default:
	}
}

func ids(eps []attach.Endpoint) []string {
	var out []string
	for _, ep := range eps {
		out = append(out, ep.ID)
	}
	return out
}
