package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/errortest"
	"tombolo/framework/api"
	"tombolo/framework/app"
)

// fakeFramework is a framework behind its real API. script says what becomes of an
// app once it is put, one Status after another.
type fakeFramework struct {
	script []api.Status
	lines  []api.LogLine

	mu       sync.Mutex
	snapshot *api.Snapshot
	changed  chan struct{}
	seen     chan struct{} // closed when the snapshot has been asked for
	put      []app.App
	deleted  []string
}

func (f *fakeFramework) PutApp(_ context.Context, a app.App) (uint64, error) {
	if a.Name == "refused" {
		return 0, fmt.Errorf("%w: no", api.ErrInvalid)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put = append(f.put, a)
	f.show(func(s *api.Snapshot) { s.Spec[a.Name] = a; s.Apps[a.Name] = api.Status{App: a.Name} })
	go f.play(a.Name)
	return 7, nil
}

// play shows one Status after the other, each when the last has been seen.
func (f *fakeFramework) play(name string) {
	for _, next := range f.script {
		f.mu.Lock()
		seen := f.seen
		f.mu.Unlock()
		<-seen
		f.mu.Lock()
		next.App = name
		f.show(func(s *api.Snapshot) { s.Apps[name] = next })
		f.mu.Unlock()
	}
}

func (f *fakeFramework) DeleteApp(_ context.Context, name string, _ bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleted = append(f.deleted, name)
	f.show(func(s *api.Snapshot) {
		status := s.Apps[name]
		status.Removing = true
		s.Apps[name] = status
	})
	seen := f.seen
	go func() {
		<-seen
		f.mu.Lock()
		defer f.mu.Unlock()
		f.show(func(s *api.Snapshot) { delete(s.Apps, name); delete(s.Spec, name) })
	}()
	return nil
}

// show replaces the snapshot; f is locked.
func (f *fakeFramework) show(change func(*api.Snapshot)) {
	next := &api.Snapshot{Apps: map[string]api.Status{}, Spec: map[string]app.App{}}
	if f.snapshot != nil {
		for k, v := range f.snapshot.Apps {
			next.Apps[k] = v
		}
		for k, v := range f.snapshot.Spec {
			next.Spec[k] = v
		}
		close(f.changed)
	}
	change(next)
	f.snapshot, f.changed, f.seen = next, make(chan struct{}), make(chan struct{})
}

func (f *fakeFramework) Snapshot() (*api.Snapshot, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.seen:
	default:
		close(f.seen)
	}
	return f.snapshot, f.changed
}

func (f *fakeFramework) Logs(_ context.Context, _ string, q api.LogQuery, fn func(api.LogLine) error) error {
	for _, l := range f.lines {
		if q.Service == "" || q.Service == l.Service {
			if err := fn(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// serve returns the socket of f's API.
func (f *fakeFramework) serve(t *testing.T) string {
	t.Helper()
	f.mu.Lock()
	if f.snapshot == nil {
		f.show(func(*api.Snapshot) {})
	}
	f.mu.Unlock()
	socket := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: api.NewHandler(api.Config{Cluster: f, Logs: f})}
	go server.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

// tombolo runs the command line against the API at socket, in a folder with the
// Compose file.
func tombolo(t *testing.T, socket, compose string, args ...string) (out string, err error) {
	t.Helper()
	return tomboloUntil(t.Context(), t, socket, compose, args...)
}

func tomboloUntil(ctx context.Context, t *testing.T, socket, compose string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "compose.yaml"), compose)
	root := newRootCommand("dev")
	var both bytes.Buffer
	root.SetOut(&both)
	root.SetErr(&both)
	at := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") })
	words := append([]string{"--project-directory", dir, "-f", filepath.Join(dir, "compose.yaml")}, args[:at+1]...)
	root.SetArgs(append(append(words, "--api", socket), args[at+1:]...))
	err := root.ExecuteContext(ctx)
	return both.String(), err
}

const shop = "name: shop\nservices:\n  web: {image: web}\n  db: {image: db}\n"

func TestUp(t *testing.T) {
	web := func(s api.State, reason string, log ...string) api.Instance {
		return api.Instance{App: "shop", Service: "web", Slot: 1, State: s, Host: "h1", Reason: reason, Log: log}
	}
	staging := api.Status{Revision: 7, Instances: []api.Instance{web(api.StateStaging, "")}}
	cases := []struct {
		name   string
		script []api.Status
		out    string
		err    string
	}{
		{"comes up", []api.Status{staging, {Revision: 7, Up: true, Instances: []api.Instance{web(api.StateUp, "")}}},
			"shop web.1 staging on h1\nshop web.1 up on h1\nshop is up: 1 instance\n", ""},
		{"an older revision's end is not ours", []api.Status{{Revision: 6, Up: true, Failed: "old"}, staging, {Revision: 7, Up: true}},
			"shop web.1 staging on h1\nshop web.1 gone\nshop is up: 0 instances\n", ""},
		{"cannot", []api.Status{staging, {Revision: 7, Failed: "web.1: exited with 3, 3 times in a row",
			Instances: []api.Instance{web(api.StateFailed, "exited with 3", "last", "words")}}},
			"shop web.1 staging on h1\nshop web.1 failed on h1: exited with 3\nweb.1 failed on h1: exited with 3\n    | last\n    | words\n",
			"shop cannot come up: web.1: exited with 3, 3 times in a row"},
		{"is taken down", []api.Status{staging, {Revision: 7, Removing: true}},
			"shop web.1 staging on h1\nshop web.1 gone\n", "taken down meanwhile"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeFramework{script: c.script}
			out, err := tombolo(t, f.serve(t), shop, "up")
			errortest.Contains(t, err, c.err)
			if diff := cmp.Diff(c.out, out); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
			if len(f.put) != 1 || f.put[0].Name != "shop" {
				t.Errorf("put %v", f.put)
			}
		})
	}
}

func TestUpThatIsInterrupted(t *testing.T) {
	f := &fakeFramework{script: []api.Status{{Revision: 7}}}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	out, err := tomboloUntil(ctx, t, f.serve(t), shop, "up")
	var exit exitError
	if !errors.As(err, &exit) || exit != 130 || !strings.Contains(out, "shop goes on coming up: tombolo -p shop ps") {
		t.Errorf("error %v, printed %q", err, out)
	}
	if len(f.deleted) > 0 {
		t.Error("took the app down")
	}
}

func TestUpGivesUp(t *testing.T) {
	f := &fakeFramework{script: []api.Status{{Revision: 7, Instances: []api.Instance{{Service: "web", Slot: 1, State: api.StateWaiting, Reason: "waits for offers"}}}}}
	out, err := tombolo(t, f.serve(t), shop, "up", "--wait-timeout", "200ms")
	errortest.Contains(t, err, "shop is not up after 200ms")
	if !strings.Contains(out, "web.1 waiting: waits for offers") {
		t.Errorf("printed %q", out)
	}
}

func TestUpDetached(t *testing.T) {
	out, err := tombolo(t, (&fakeFramework{}).serve(t), shop, "up", "-d")
	errortest.Contains(t, err, "")
	if out != "shop is on its way (see: tombolo -p shop ps)\n" {
		t.Errorf("printed %q", out)
	}
}

// What docker compose needs a flag for is so anyway.
func TestUpTakesComposeFlags(t *testing.T) {
	f := &fakeFramework{script: []api.Status{{Revision: 7, Up: true}}}
	out, err := tombolo(t, f.serve(t), shop, "up", "-d", "--wait", "--wait-timeout", "60", "--build", "--remove-orphans", "--quiet-pull")
	errortest.Contains(t, err, "")
	if out != "shop is up: 0 instances\n" {
		t.Errorf("printed %q", out)
	}
}

func TestScale(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	_, err := tombolo(t, socket, shop, "scale", "web=2")
	errortest.Contains(t, err, "shop is not up")
	for _, args := range [][]string{{"up", "-d", "--scale", "web=3", "--scale", "db=0"}, {"scale", "-d", "web=5"}, {"up", "-d"}} {
		_, err := tombolo(t, socket, shop, args...)
		errortest.Contains(t, err, "")
	}
	_, err = tombolo(t, socket, shop, "scale", "nosuch=2")
	errortest.Contains(t, err, `shop has no service "nosuch"`)
	var replicas [][2]int
	for _, a := range f.put {
		replicas = append(replicas, [2]int{a.Services["web"].Replicas, a.Services["db"].Replicas})
	}
	if diff := cmp.Diff([][2]int{{3, 0}, {5, 0}, {1, 1}}, replicas); diff != "" {
		t.Errorf("replicas of web and db (-want +got):\n%s", diff)
	}
}

func TestUpThatIsRefused(t *testing.T) {
	_, err := tombolo(t, (&fakeFramework{}).serve(t), "name: refused\nservices: {a: {image: a}}\n", "up")
	errortest.Contains(t, err, "invalid: no")
	_, err = tombolo(t, "/nowhere/api.sock", shop, "up")
	errortest.Contains(t, err, "no framework answers at /nowhere/api.sock")
	_, err = tombolo(t, "/nowhere/api.sock", "services: {a: {image: 7, nokey: 1}}\n", "up")
	errortest.Contains(t, err, "nokey")
}

func TestDown(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	out, err := tombolo(t, socket, shop, "down")
	errortest.Contains(t, err, "")
	if out != "shop is not up\n" || len(f.deleted) > 0 {
		t.Errorf("printed %q, deleted %v", out, f.deleted)
	}
	if _, err := tombolo(t, socket, shop, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	out, err = tombolo(t, socket, shop, "down")
	errortest.Contains(t, err, "")
	if !strings.HasSuffix(out, "shop is down\n") || !slices.Equal(f.deleted, []string{"shop"}) {
		t.Errorf("printed %q, deleted %v", out, f.deleted)
	}
}

func TestPs(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	_, err := tombolo(t, socket, shop, "ps")
	errortest.Contains(t, err, "shop is not up")
	now := time.Now()
	status := func(name string) api.Status {
		return api.Status{App: name, Instances: []api.Instance{
			{App: name, Service: "db", Slot: 1, State: api.StateUp, Host: "h1", Address: "100.64.1.2", Health: "healthy", Container: "c0ffee",
				Ports: []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}, Started: now.Add(-90 * time.Second)},
			{App: name, Service: "web", Slot: 1, State: api.StateWaiting, Reason: "a volume's host\nis gone", Since: now.Add(-3 * time.Hour)},
		}}
	}
	f.mu.Lock()
	f.show(func(s *api.Snapshot) { s.Apps["shop"], s.Apps["blog"] = status("shop"), status("blog") })
	f.mu.Unlock()
	out, err := tombolo(t, socket, shop, "ps")
	errortest.Contains(t, err, "")
	want := `APP   SERVICE  INSTANCE  HOST  ADDRESS     STATE    HEALTH   AGE  PORTS         REASON
shop  db       1         h1    100.64.1.2  up       healthy  90s  8080->80/tcp
shop  web      1         -     -           waiting  -        3h   -             a volume's host is gone
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
	out, err = tombolo(t, socket, shop, "ps", "-a", "--format", "json")
	errortest.Contains(t, err, "")
	if strings.Count(out, `"app": "blog"`) != 2 || strings.Count(out, `"app": "shop"`) != 2 {
		t.Errorf("printed %s", out)
	}
	out, err = tombolo(t, socket, shop, "ps", "-a", "-q")
	errortest.Contains(t, err, "")
	if out != "c0ffee\nc0ffee\n" {
		t.Errorf("printed %q", out)
	}
	_, err = tombolo(t, socket, shop, "ps", "--format", "xml")
	errortest.Contains(t, err, "neither table nor json")
}

func TestLogs(t *testing.T) {
	f := &fakeFramework{lines: []api.LogLine{
		{Service: "web", Slot: 1, Line: "hello"}, {Service: "db", Slot: 1, Line: "world", Time: time.Unix(0, 0)},
	}}
	socket := f.serve(t)
	if _, err := tombolo(t, socket, shop, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, out, err string }{
		{"logs", "web.1  | hello\ndb.1   | world\n", ""},
		{"logs web", "web.1  | hello\n", ""},
		{"logs web db", "web.1  | hello\ndb.1   | world\n", ""},
		{"logs --no-log-prefix -n 5 db", "world\n", ""},
		{"logs -t db", "db.1   | " + time.Unix(0, 0).Format(time.RFC3339Nano) + " world\n", ""},
		{"logs nosuch", "", `shop has no service "nosuch"`},
		{"logs --tail some", "", "neither a number nor all"},
	} {
		out, err := tombolo(t, socket, shop, strings.Fields(c.args)...)
		errortest.Contains(t, err, c.err)
		if diff := cmp.Diff(c.out, out); c.err == "" && diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, diff)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
