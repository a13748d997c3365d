package docker_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"tombolo/linker/docker"
	"tombolo/linker/docker/dockertest"
	"tombolo/linker/record"
)

// watched is an Engine under test that watches a fake one.
type watched struct {
	*docker.Engine
	fake *dockertest.Engine
	gone int // calls of NetworkGone
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{fake: dockertest.New(filepath.Join(t.TempDir(), "docker.sock"))}
	var err error
	w.Engine, err = docker.New(docker.Config{
		Host:        w.fake.Host(),
		Network:     docker.Network{Name: "tombolo", Driver: "tombolo", Subnet: netip.MustParsePrefix("100.64.0.0/10")},
		NetworkGone: func() { w.gone++ },
		Log:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// run starts watching. When the test ends, it stops the watcher and the fake.
func (w *watched) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v after its context had ended, want nil", err)
		}
		w.fake.Stop()
		goleak.VerifyNone(t)
	})
}

// until waits until ok is true of the snapshot, which it returns.
func (w *watched) until(t *testing.T, what string, ok func(*docker.Snapshot) bool) *docker.Snapshot {
	t.Helper()
	changes, stop := w.Watch()
	defer stop()
	late := time.After(20 * time.Second)
	for {
		if s := w.Snapshot(); ok(s) {
			return s
		}
		select {
		case <-changes:
		case <-late:
			t.Fatalf("the snapshot never showed %q; the last one is %+v", what, w.Snapshot())
		}
	}
}

func synced(s *docker.Snapshot) bool { return s.Err == nil && s.Syncs > 0 }

var web = dockertest.Container{
	ID: "c1", Name: "web", Hostname: "webhost", Labels: map[string]string{"tombolo.app": "shop"},
	EndpointID: "ep1", Addr4: "100.64.7.2", MAC: "02:42:00:00:00:01",
	Ports: map[string]string{"80/tcp": "8080", "81/tcp": ""},
	State: "running", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
}

func TestFirstListingFindsContainersAndCreatesTheNetwork(t *testing.T) {
	w := newWatched(t)
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
	unhealthy := web
	unhealthy.ID, unhealthy.Name, unhealthy.EndpointID, unhealthy.Health = "c2", "unhealthy", "", "unhealthy"
	dead := web
	dead.ID, dead.Name, dead.EndpointID, dead.State = "c3", "dead", "", "exited"
	w.fake.Put(web)
	w.fake.Put(unhealthy)
	w.fake.Put(dead)
	w.run(t)
	got := w.until(t, "first listing, with the labels of the container that does not run", func(s *docker.Snapshot) bool {
		return synced(s) && !s.Containers["c3"].Unread
	})
	ports := []record.PublishedPort{{HostPort: 8080, Port: 80, Proto: "tcp"}}
	want := map[string]*docker.Container{
		"c1": {ID: "c1", Name: "web", Hostname: "webhost", Labels: web.Labels, EndpointID: "ep1", Running: true, Health: "none", Started: web.Started, Published: ports},
		"c2": {ID: "c2", Name: "unhealthy", Hostname: "webhost", Labels: web.Labels, Running: true, Health: "unhealthy", Started: web.Started, Published: ports},
		"c3": {ID: "c3", Name: "dead", Labels: web.Labels, Health: "none", Started: time.Unix(0, 0)},
	}
	if diff := cmp.Diff(want, got.Containers, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	ends := map[string]docker.Endpoint{"ep1": {ID: "ep1", Container: "c1", Addr4: netip.MustParseAddr("100.64.7.2"), MAC: web.MAC}}
	if diff := cmp.Diff(ends, got.Endpoints, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if w.fake.Networks() != 1 || w.gone != 1 || got.NetworkID != "net1" {
		t.Errorf("%d networks were created, NetworkGone was called %d times, the network's ID is %q; want 1, 1 and net1", w.fake.Networks(), w.gone, got.NetworkID)
	}
}

func TestEventsChangeTheSnapshot(t *testing.T) {
	w := newWatched(t)
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
	w.run(t)
	w.until(t, "first listing", synced)
	c := web
	c.Health = "starting"
	w.fake.Run(c)
	w.until(t, "started, known by its endpoint", func(s *docker.Snapshot) bool {
		c := s.Containers["c1"]
		return c != nil && c.Running && c.EndpointID == "ep1" && c.Hostname == "webhost" && c.Health == "starting" && c.Labels["tombolo.app"] == "shop"
	})
	c.Health, c.State = "healthy", "running"
	w.fake.Put(c)
	w.fake.Event("container", "health_status: healthy", "c1")
	w.until(t, "healthy", func(s *docker.Snapshot) bool { return s.Containers["c1"].Health == "healthy" })
	w.fake.Event("container", "pause", "c1")
	w.until(t, "paused", func(s *docker.Snapshot) bool { return !s.Containers["c1"].Running })
	w.fake.Event("container", "unpause", "c1")
	w.until(t, "running again", func(s *docker.Snapshot) bool { return s.Containers["c1"].Running })
	c.State = "exited"
	w.fake.Put(c)
	w.fake.Event("container", "die", "c1")
	w.until(t, "dead", func(s *docker.Snapshot) bool { return !s.Containers["c1"].Running })
	w.fake.Event("network", "disconnect", "c1")
	w.until(t, "no endpoint", func(s *docker.Snapshot) bool { return s.Containers["c1"].EndpointID == "" })
	w.fake.Event("container", "destroy", "c1")
	w.until(t, "gone", func(s *docker.Snapshot) bool { return s.Containers["c1"] == nil })
}

// An image can be labelled by anybody who can push it.
func TestLabelsOfTheImageAreNotTheContainers(t *testing.T) {
	w := newWatched(t)
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
	hostile := web
	hostile.ImageLabels = map[string]string{"tombolo.name": "db", "tombolo.service": "db"}
	hostile.Labels = map[string]string{"tombolo.app": "shop", "tombolo.name": "db", "tombolo.service": "db"}
	listed := hostile
	listed.ID, listed.Name, listed.EndpointID = "c2", "listed", ""
	stopped := listed
	stopped.ID, stopped.Name, stopped.State = "c3", "stopped", "exited"
	w.fake.Put(listed)
	w.fake.Put(stopped)
	w.run(t)
	w.until(t, "first listing", synced)
	w.fake.Run(hostile)
	s := w.until(t, "read", func(s *docker.Snapshot) bool {
		for _, id := range []string{"c1", "c2", "c3"} {
			if c := s.Containers[id]; c == nil || c.Unread {
				return false
			}
		}
		return true
	})
	want := map[string]string{"tombolo.app": "shop"}
	for id, c := range s.Containers {
		if diff := cmp.Diff(want, c.Labels); diff != "" {
			t.Errorf("labels of %s (-want +got):\n%s", id, diff)
		}
	}
}

// A busy Engine fails to answer or drops events. Neither waits for the next full listing.
func TestFailedRequestsAreRepeated(t *testing.T) {
	w := newWatched(t)
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
	w.run(t)
	first := w.until(t, "first listing", synced).Syncs
	known := func(s *docker.Snapshot) bool {
		c := s.Containers["c1"]
		return c != nil && c.Running && c.EndpointID == "ep1"
	}
	w.fake.Fail(3)
	w.fake.Run(web)
	if s := w.until(t, "known after failures", known); s.Syncs != first {
		t.Error("the container was found by the next full listing only")
	}
	w.fake.Event("network", "disconnect", "c1")
	w.until(t, "disconnected", func(s *docker.Snapshot) bool { return !known(s) })
	w.fake.Event("container", "start", "c1")
	w.until(t, "known without a connect event", known)
}

func TestEngineThatStopsIsFoundAgain(t *testing.T) {
	w := newWatched(t)
	w.run(t)
	w.until(t, "no connection", func(s *docker.Snapshot) bool { return s.Err != nil && strings.Contains(s.Err.Error(), "docker.sock") })
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
	w.fake.Put(web)
	first := w.until(t, "connected", synced)
	w.fake.Stop()
	down := w.until(t, "disconnected", func(s *docker.Snapshot) bool { return s.Err != nil })
	if down.Containers["c1"] == nil || !down.Containers["c1"].Running {
		t.Error("the container was forgotten while the Engine was stopped")
	}
	w.fake.Remove("c1") // without an event
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
	back := w.until(t, "connected again", func(s *docker.Snapshot) bool { return s.Err == nil && s.Syncs > first.Syncs })
	if len(back.Containers) != 0 {
		t.Errorf("after the Engine came back the containers are %v, want none", back.Containers)
	}
}

// An Engine that is stopped by SIGSTOP accepts connections and keeps those that it has.
func TestAnEngineThatIsStuckIsNamed(t *testing.T) {
	w := newWatched(t)
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
	w.run(t)
	w.until(t, "connected", synced)
	w.fake.Freeze()
	began := time.Now()
	w.until(t, "stuck", func(s *docker.Snapshot) bool {
		return s.Err != nil && strings.Contains(s.Err.Error(), "the Engine has not answered for 5s")
	})
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("a stuck Engine was noticed after %s, want about 8 s at most", took)
	}
	w.fake.Put(web) // without an event
	w.fake.Thaw()
	w.until(t, "answers again, and lists what it has", func(s *docker.Snapshot) bool { return synced(s) && s.Containers["c1"] != nil })
}

func TestLogsAreCutIntoLines(t *testing.T) {
	frame := func(stream byte, text string) string {
		head := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
		return string(head) + text
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	stamp := at.Format(time.RFC3339Nano) + " "
	for _, tt := range []struct {
		name, output string
		tty          bool
		want         []docker.Line
	}{
		{"two streams", frame(1, stamp+"out\n") + frame(2, stamp+"err 1\n"), false,
			[]docker.Line{{"stdout", at, "out"}, {"stderr", at, "err 1"}}},
		{"a line in two frames, and a last line without a newline", frame(1, stamp+"ou") + frame(1, "t\n"+stamp+"last"), false,
			[]docker.Line{{"stdout", at, "out"}, {"stdout", at, "last"}}},
		{"terminal", stamp + "out\r\n", true, []docker.Line{{"stdout", at, "out"}}},
		{"no time", frame(1, "plain text\n"), false, []docker.Line{{"stdout", time.Time{}, "plain text"}}},
		{"a very long line is cut", frame(1, strings.Repeat("x", 64<<10)+"y\n"), false,
			[]docker.Line{{"stdout", time.Time{}, strings.Repeat("x", 64<<10)}, {"stdout", time.Time{}, "y"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatched(t)
			if err := w.fake.Start(); err != nil {
				t.Fatal(err)
			}
			w.run(t)
			w.until(t, "first listing", synced)
			c := web
			c.Output, c.TTY = tt.output, tt.tty
			w.fake.Put(c)
			var got []docker.Line
			err := w.Logs(t.Context(), "c1", docker.LogOptions{}, func(l docker.Line) error { got = append(got, l); return nil })
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("Logs returned %v; lines (-want +got):\n%s", err, diff)
			}
		})
	}
}
