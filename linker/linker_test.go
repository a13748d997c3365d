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

// plane is a kernel that remembers what it was told last.
type plane struct {
	set     chan overlay.Config // holds the newest
	fail    error               // of Set
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

func (p *plane) Detach(context.Context, string) error { return nil }

// testHost is a linker with a real gossip on its own loopback address, a fake
// Engine and a fake kernel.
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
	h.cfg = Config{
		Host: fmt.Sprintf("h%d", n), Underlay: netip.AddrFrom4([4]byte{127, 77, 0, byte(n)}),
		Docker: h.engine.Host(), StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"),
		PluginDir: filepath.Join(dir, "plugins"), ResolvConf: filepath.Join(dir, "resolv.conf"),
		Settle: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
	return h
}

func (h *testHost) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := h.startOn(ctx, t, newPlane())
	select {
	case <-h.plane.running:
	case err := <-done:
		t.Fatalf("%s: Run = %v", h.cfg.Host, err)
	}
	h.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: Run = %v", h.cfg.Host, err)
		}
	}
}

// startOn runs the linker over a kernel, until ctx ends or it does.
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
	h.pools.find = func(...netip.Prefix) error { return nil } // whatever this machine routes
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	return done
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

// run attaches a container as Docker would: the plugin's calls, then the events.
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
	if _, err := h.table.Join(t.Context(), id, "/run/docker/netns/"+name); err != nil {
		t.Fatal(err)
	}
	h.engine.Run(dockertest.Container{ID: name[:min(60, len(name))] + "-id", Name: name, Hostname: name, Labels: labels, EndpointID: id,
		Addr4: addr.String(), MAC: "02:42:00:00:00:01", Started: time.Now()})
	return id
}

// view is what the DNS server is told about an asker.
func (h *testHost) view(from netip.Addr) (*record.View, bool) {
	return viewer{h.table, h.block, h.effective}.View(from)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(5 * time.Millisecond) { // several processes' worth of goroutines and sockets
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
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
		eventually(t, "ready, with a peer", func() bool {
			st, err := c.Status(t.Context())
			return err == nil && st.Ready && len(st.Peers) == 1 && st.Peers[0].State == "alive"
		})
	}
	web, db := a.run(t, "web", labels("web")), b.run(t, "database", labels("db"))
	for _, h := range []*testHost{a, b} {
		eventually(t, "both endpoints known on "+h.cfg.Host, func() bool {
			s := h.catalog.Snapshot()
			return s.Endpoints[web] != nil && s.Endpoints[web].Running && s.Endpoints[db] != nil && s.Endpoints[db].Running
		})
	}
	s := a.catalog.Snapshot()
	if x, y := s.Hosts["h1"].Block4, s.Hosts["h2"].Block4; x.Overlaps(y) {
		t.Errorf("blocks %s and %s overlap", x, y)
	}
	view, ok := a.view(s.Endpoints[web].Addr4)
	if !ok || len(view.Names["db"].Targets) != 1 || view.Names["db"].Targets[0].Addr4 != s.Endpoints[db].Addr4 {
		t.Errorf("web sees db as %+v", view.Names["db"])
	}
	if again, _ := a.view(s.Endpoints[web].Addr4); again != view {
		t.Error("the view was computed twice without a change")
	}
	if _, ok := a.view(s.Endpoints[db].Addr4); ok {
		t.Error("an address of another host's container was answered")
	}
	if r, err := ca.Resolve(t.Context(), "db", "web"); err != nil || !r.Exists || len(r.Targets) != 1 {
		t.Errorf("resolve = %+v, %v", r, err)
	}
	if r, err := ca.Resolve(t.Context(), s.Endpoints[db].Addr4.String(), ""); err != nil || len(r.Targets) != 1 || r.Targets[0].Name != "1.db.shop" {
		t.Errorf("resolve db's address = %+v, %v", r, err)
	}
	eventually(t, "policy lets db reach web", func() bool {
		c := <-a.plane.set
		a.plane.set <- c
		for _, allow := range c.Allow {
			if allow.From == s.Endpoints[db].Addr4 && allow.To == s.Endpoints[web].Addr4 {
				return len(c.Peers) == 1 && len(c.Endpoints) == 1
			}
		}
		return false
	})
	b.stop()
	eventually(t, "the host that left for a restart is not suspended", func() bool {
		h := a.catalog.Snapshot().Hosts["h2"]
		return h != nil && h.Restart.After(time.Now())
	})
	a.stop()
	a.engine.Stop()
	b.engine.Stop()
	goleak.VerifyNone(t)
}

// A linker that comes back holds all that it held, before anybody tells it.
func TestRestartAdopts(t *testing.T) {
	h := newTestHost(t, 3)
	h.start(t)
	h.client(t)
	eventually(t, "block claimed", func() bool { return h.block.Current() != nil })
	block4 := h.block.Current().Block4
	id := h.run(t, "web", labels("web"))
	eventually(t, "endpoint known", func() bool {
		e := h.catalog.Snapshot().Endpoints[id]
		return e != nil && e.Running
	})
	h.stop()
	epoch := h.state.get().Epoch
	h.engine.Stop() // even with Docker away
	h.start(t)
	first := <-h.plane.set
	if first.Self.Block4 != block4 || len(first.Endpoints) != 1 {
		t.Errorf("first state after the restart: block %s, endpoints %v", first.Self.Block4, first.Endpoints)
	}
	eventually(t, "endpoint still answers", func() bool {
		e := h.catalog.Snapshot().Endpoints[id]
		return e != nil && e.Running
	})
	if now := h.state.get().Epoch; now <= epoch {
		t.Errorf("epoch %d after %d", now, epoch)
	}
	if err := h.engine.Start(); err != nil {
		t.Fatal(err)
	}
	st := api.Status{}
	eventually(t, "ready again", func() bool {
		var err error
		st, err = h.client(t).Status(t.Context())
		return err == nil && st.Ready
	})
	h.stop()
}

func TestPoolOverlap(t *testing.T) {
	h := newTestHost(t, 5)
	l, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.pools.find = func(pools ...netip.Prefix) error {
		return &overlay.PoolOverlapError{Pool: pools[0], Route: netip.MustParsePrefix("100.100.0.0/16"), Device: "vpn0", Table: 52}
	}
	err = l.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "100.64.0.0/10 overlaps 100.100.0.0/16 on vpn0 (table 52): choose another with --pool") {
		t.Errorf("Run = %v", err)
	}
}

// A kernel that cannot do what is needed ends the linker, with the reason, and Docker
// is refused rather than left waiting.
func TestKernelThatCannot(t *testing.T) {
	for n, reason := range []error{overlay.ErrNoVXLAN, overlay.ErrPortInUse} {
		t.Run(reason.Error(), func(t *testing.T) {
			h := newTestHost(t, 21+n)
			kernel := newPlane()
			kernel.fail = fmt.Errorf("%w: create %s: operation not supported", reason, overlay.Device)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := <-h.startOn(ctx, t, kernel)
			if !errors.Is(err, reason) || !strings.HasPrefix(err.Error(), "linker: overlay: "+reason.Error()) {
				t.Errorf("Run = %v", err)
			}
			for _, socket := range []string{filepath.Join(h.cfg.PluginDir, Driver+".sock"), h.cfg.APISocket()} {
				if c, err := net.Dial("unix", socket); err == nil {
					c.Close()
					t.Errorf("%s is still served", socket)
				}
			}
			if _, err := os.Stat(filepath.Join(h.cfg.PluginDir, Driver+".sock")); !os.IsNotExist(err) {
				t.Errorf("the plugin's socket is still there: %v", err)
			}
		})
	}
}

func TestOneLinkerAHost(t *testing.T) {
	h := newTestHost(t, 4)
	h.start(t)
	h.client(t)
	second, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another linker runs") {
		t.Errorf("second linker: %v", err)
	}
	h.stop()
	if raw, err := os.ReadFile(h.cfg.ResolvConf); err != nil || !strings.Contains(string(raw), "nameserver 169.254.1.1") {
		t.Errorf("resolv.conf: %q, %v", raw, err)
	}
}

// merge gives c a record as a peer sends it.
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
