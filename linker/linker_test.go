package linker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombolo/dns"
	"tombolo/linker/api"
	"tombolo/linker/attach"
	"tombolo/linker/catalog"
	"tombolo/linker/docker/dockertest"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// plane is a kernel that remembers the last Config.
type plane struct {
	set     chan overlay.Config // holds the last Config
	fail    error               // returned by Set; nil: it succeeds
	running chan struct{}       // closed by Run, when the linker has made its parts
}

func newPlane() *plane {
	return &plane{set: make(chan overlay.Config, 1), running: make(chan struct{})}
}

func (p *plane) Set(_ context.Context, c overlay.Config) error {
	select {
	case <-p.set:
	default:
	}
	p.set <- c
	return p.fail
}

func (p *plane) Run(ctx context.Context) error {
	close(p.running)
	<-ctx.Done()
	return nil
}

func (p *plane) Attach(_ context.Context, ep overlay.Endpoint) (overlay.Interface, error) {
	return overlay.Interface{Host: overlay.HostSide(ep.ID), Container: overlay.ContainerSide(ep.ID)}, nil
}

func (p *plane) Counters() (map[string]uint64, error) { return map[string]uint64{"forged": 3}, nil }

func (p *plane) MTU() int { return 1450 }

func (p *plane) Addresses() []netip.Addr { return nil }

func (p *plane) Equip(context.Context, overlay.Endpoint) error { return nil }

func (p *plane) Detach(context.Context, string) error { return nil }

// testHost is a linker with real gossip on a loopback address of its own, a fake Engine
// and a fake kernel.
type testHost struct {
	cfg    Config
	engine *dockertest.Engine
	*Linker
	plane *plane
	stop  func()
}

func newTestHost(t *testing.T, n int) *testHost {
	t.Helper()
	dir := t.TempDir()
	h := &testHost{engine: dockertest.New(filepath.Join(dir, "docker.sock"))}
	if err := h.engine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.engine.Stop)
	// The identity is the name, so that tests know it.
	state := filepath.Join(dir, "state", "linker.json")
	if err := errors.Join(os.Mkdir(filepath.Dir(state), 0o700), os.WriteFile(state, fmt.Appendf(nil, `{"identity":"h%d"}`, n), 0o600)); err != nil {
		t.Fatal(err)
	}
	h.cfg = Config{
		Host: fmt.Sprintf("h%d", n), Underlay: netip.AddrFrom4([4]byte{127, 77, 0, byte(n)}),
		Docker: h.engine.Host(), StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"),
		PluginDir: filepath.Join(dir, "plugins"), ResolvConf: filepath.Join(dir, "resolv.conf"),
		Settle: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
	return h
}

// start runs the linker until stop is called, and returns when it has made its parts.
func (h *testHost) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := h.startOn(ctx, t, newPlane())
	select {
	case <-h.plane.running:
	case err := <-done:
		t.Fatalf("%s: Run returned %v before the linker had started", h.cfg.Host, err)
	}
	h.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: Run returned %v, want nil", h.cfg.Host, err)
		}
	}
}

// startOn runs the linker over a kernel, until ctx ends or Run returns.
func (h *testHost) startOn(ctx context.Context, t *testing.T, kernel *plane) <-chan error {
	t.Helper()
	sockets, err := dns.Listen(t.Context(), netip.AddrPortFrom(h.cfg.Underlay, 53))
	if err != nil {
		t.Fatal(err)
	}
	cfg := h.cfg
	if cfg.DNSFiles, err = sockets.Files(); err != nil {
		t.Fatal(err)
	}
	sockets.Close()
	if h.Linker, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	h.plane = kernel
	h.Linker.plane = h.plane
	h.pools.find = func(...netip.Prefix) error { return nil } // whatever routes this machine has
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	return done
}

// awaitBlock waits until the host has an IPv4 block, and returns it.
func (h *testHost) awaitBlock(t *testing.T) netip.Prefix {
	t.Helper()
	eventually(t, h.cfg.Host+" has a block", func() bool { return h.block.Current() != nil })
	return h.block.Current().Block4
}

// client waits until the linker's API answers.
func (h *testHost) client(t *testing.T) *api.Client {
	t.Helper()
	eventually(t, h.cfg.Host+" serves its API", func() bool {
		c, err := net.Dial("unix", h.cfg.APISocket())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return api.NewClient(h.cfg.APISocket())
}

// run attaches a container as Docker would, by the plugin's calls and then the events,
// and returns the endpoint's ID.
func (h *testHost) run(t *testing.T, name string, labels map[string]string) string {
	t.Helper()
	id := strings.Repeat(fmt.Sprintf("%02x", len(name)+int(h.cfg.Underlay.As4()[3])), 32)
	addr, err := h.table.Reserve(t.Context(), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.table.Create(t.Context(), attach.Endpoint{ID: id, Addr4: addr, MAC: "02:42:00:00:00:01"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.table.Join(t.Context(), id, "/run/docker/netns/"+name); err != nil {
		t.Fatal(err)
	}
	h.engine.Run(dockertest.Container{ID: name[:min(60, len(name))] + "-id", Name: name, Hostname: name, Labels: labels, EndpointID: id,
		Addr4: addr.String(), MAC: "02:42:00:00:00:01", Started: time.Now()})
	return id
}

// view returns what the DNS server learns about an asker.
func (h *testHost) view(from netip.Addr) (*record.View, bool) {
	return viewer{h.table, h.effective}.View(from)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(5 * time.Millisecond) { // real sockets and other processes
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain until %s", what)
}

func labels(service string) map[string]string {
	return map[string]string{record.LabelApp: "shop", record.LabelService: service, record.LabelSlot: "1"}
}

func TestTwoHosts(t *testing.T) {
	a, b := newTestHost(t, 1), newTestHost(t, 2)
	b.cfg.Join = []string{a.cfg.Underlay.String()}
	a.start(t)
	b.start(t)
	ca, cb := a.client(t), b.client(t)
	for _, c := range []*api.Client{ca, cb} {
		eventually(t, "both hosts are ready and have a peer", func() bool {
			st, err := c.Status(t.Context())
			return err == nil && st.Ready && len(st.Peers) == 1 && st.Peers[0].State == "alive"
		})
	}
	web := record.EndpointKey("h1", a.run(t, "web", labels("web")))
	db := record.EndpointKey("h2", b.run(t, "database", labels("db")))
	for _, h := range []*testHost{a, b} {
		eventually(t, h.cfg.Host+" knows both endpoints", func() bool {
			s := h.catalog.Snapshot()
			return s.Endpoints[web] != nil && s.Endpoints[web].Running && s.Endpoints[db] != nil && s.Endpoints[db].Running
		})
	}
	s := a.catalog.Snapshot()
	if x, y := s.Hosts["h1"].Block4, s.Hosts["h2"].Block4; x.Overlaps(y) {
		t.Errorf("the blocks %s and %s of the two hosts overlap", x, y)
	}
	view, ok := a.view(s.Endpoints[web].Addr4)
	if !ok || len(view.Names["db"].Targets) != 1 || view.Names["db"].Targets[0].Addr4 != s.Endpoints[db].Addr4 {
		t.Errorf("web sees db as %+v, want its one address %s", view.Names["db"], s.Endpoints[db].Addr4)
	}
	if again, _ := a.view(s.Endpoints[web].Addr4); again != view {
		t.Error("the view was computed again although nothing had changed")
	}
	if _, ok := a.view(s.Endpoints[db].Addr4); ok {
		t.Error("a container of another host is known to this host's DNS server")
	}
	if r, err := ca.Resolve(t.Context(), "db", "web"); err != nil || !r.Exists || len(r.Targets) != 1 {
		t.Errorf("db resolves as %+v (%v), want one target", r, err)
	}
	if r, err := ca.Resolve(t.Context(), s.Endpoints[db].Addr4.String(), ""); err != nil || len(r.Targets) != 1 || r.Targets[0].Name != "1.db.shop" {
		t.Errorf("the address of db resolves as %+v (%v), want the name 1.db.shop", r, err)
	}
	eventually(t, "the policy lets db reach web", func() bool {
		c := <-a.plane.set
		a.plane.set <- c
		return len(c.Peers) == 1 && len(c.Endpoints) == 1 && permits(c, s.Endpoints[db].Addr4, s.Endpoints[web].Addr4)
	})
	b.stop()
	eventually(t, "the host that stopped is known to restart", func() bool {
		h := a.catalog.Snapshot().Hosts["h2"]
		return h != nil && h.Restarting > 0
	})
	a.stop()
	a.engine.Stop()
	b.engine.Stop()
	goleak.VerifyNone(t)
}

// A linker that restarts keeps its block and its endpoints without the help of others.
func TestRestartKeepsBlockAndEndpoints(t *testing.T) {
	h := newTestHost(t, 3)
	h.start(t)
	block4 := h.awaitBlock(t)
	id := h.run(t, "web", labels("web"))
	eventually(t, "the endpoint is announced", func() bool {
		e := h.localEndpoint(id)
		return e != nil && e.Running
	})
	h.stop()
	epoch := h.state.get().Epoch
	h.engine.Stop() // even while Docker does not answer
	h.start(t)
	first := <-h.plane.set
	if first.Self.Block4 != block4 || len(first.Endpoints) != 1 {
		t.Errorf("after the restart the kernel was first given block %s and the endpoints %v, want %s and one endpoint", first.Self.Block4, first.Endpoints, block4)
	}
	eventually(t, "the endpoint is still announced as running", func() bool {
		e := h.localEndpoint(id)
		return e != nil && e.Running
	})
	if now := h.state.get().Epoch; now <= epoch {
		t.Errorf("the epoch after the restart is %d, want more than %d", now, epoch)
	}
	if err := h.engine.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the linker is ready again", func() bool {
		st, err := h.client(t).Status(t.Context())
		return err == nil && st.Ready
	})
	h.stop()
}

// If the kernel can never match, Run returns the reason and closes its sockets: Docker's
// calls fail then instead of waiting.
func TestUnusableKernelEndsRun(t *testing.T) {
	for n, reason := range []error{overlay.ErrNoVXLAN, overlay.ErrPortInUse} {
		t.Run(reason.Error(), func(t *testing.T) {
			h := newTestHost(t, 21+n)
			kernel := newPlane()
			kernel.fail = fmt.Errorf("%w: create %s: operation not supported", reason, overlay.Device)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := <-h.startOn(ctx, t, kernel)
			if !errors.Is(err, reason) || !strings.HasPrefix(err.Error(), "linker: overlay: "+reason.Error()) {
				t.Errorf("Run returned %v, want %v as an error of the overlay", err, reason)
			}
			for _, socket := range []string{filepath.Join(h.cfg.PluginDir, Driver+".sock"), h.cfg.APISocket()} {
				if c, err := net.Dial("unix", socket); err == nil {
					c.Close()
					t.Errorf("somebody still listens on %s", socket)
				}
			}
			if _, err := os.Stat(filepath.Join(h.cfg.PluginDir, Driver+".sock")); !os.IsNotExist(err) {
				t.Errorf("the plugin's socket still exists (%v), so Docker would try it", err)
			}
		})
	}
}

func TestASecondLinkerIsRefused(t *testing.T) {
	h := newTestHost(t, 4)
	h.start(t)
	h.client(t)
	second, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another linker runs") {
		t.Errorf("Run of a second linker returned %v, want an error that names the first", err)
	}
	h.stop()
	if raw, err := os.ReadFile(h.cfg.ResolvConf); err != nil || !strings.Contains(string(raw), "nameserver 169.254.1.1") {
		t.Errorf("resolv.conf is %q (%v), want the linker's address in it", raw, err)
	}
}

func TestOutlive(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	saidGoodbye := false
	run := func(longer context.Context) error {
		cancel()
		<-longer.Done()
		if !saidGoodbye {
			t.Error("the part was told to end before the goodbye")
		}
		return nil
	}
	if err := outlive(ctx, run, func() { saidGoodbye = true }); err != nil {
		t.Errorf("outlive returned %v, want nil", err)
	}
	broken := errors.New("the part failed by itself")
	err := outlive(t.Context(), func(context.Context) error { return broken }, func() { t.Error("said goodbye for a part that had failed") })
	if !errors.Is(err, broken) {
		t.Errorf("outlive returned %v, want the error of the part", err)
	}
}

// merge gives a catalog a record, as gossip does with the records of peers.
func merge(t *testing.T, c *catalog.Catalog, r record.Record) {
	t.Helper()
	packet, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Merge(packet); err != nil {
		t.Fatal(err)
	}
}

// permits reports whether a Config lets from reach to.
func permits(c overlay.Config, from, to netip.Addr) bool {
	return slices.ContainsFunc(c.Groups, func(g overlay.Group) bool {
		return slices.Contains(g.From, from) && slices.Contains(g.To, to)
	})
}
