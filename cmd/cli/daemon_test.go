package cli

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOneDaemonAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := daemonPID(dir); !errors.Is(err, errNoDaemon) {
		t.Errorf("before: %v", err)
	}
	lock, err := lockDaemon(dir, holder{Kind: kindMachine, StateDir: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := daemonPID(dir); pid != os.Getpid() || err != nil {
		t.Errorf("held: process %d, %v", pid, err)
	}
	if _, err := lockDaemon(dir, holder{Kind: kindMachine, StateDir: "/x"}); err == nil || !strings.Contains(err.Error(), "a daemon runs here already") {
		t.Errorf("second: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := daemonPID(dir); !errors.Is(err, errNoDaemon) {
		t.Errorf("after: %v", err)
	}
}

func TestDaemonThatIsNeededIsNotStopped(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	if err := idle(t.Context(), filepath.Dir(socket)); err != nil {
		t.Errorf("without apps: %v", err)
	}
	f.mu.Lock()
	f.show(func(s *api.Snapshot) { s.Apps["shop"] = api.Status{App: "shop"} })
	f.mu.Unlock()
	wantError(t, idle(t.Context(), filepath.Dir(socket)), "needed by shop")
}

func TestServeUnix(t *testing.T) {
	defer goleak.VerifyNone(t)
	socket := filepath.Join(t.TempDir(), "run", "x.sock")
	for range 2 { // the second finds what the first left
		ctx, cancel := context.WithCancel(t.Context())
		streaming := make(chan struct{})
		served := make(chan error)
		go func() {
			served <- serveUnix(ctx, socket, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "hello")
				_ = http.NewResponseController(w).Flush()
				close(streaming)
				<-r.Context().Done() // a stream
			}))
		}()
		client := unixHTTP(socket)
		answer, err := client.Get("http://x/")
		for errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) { // bound, but not listening yet
			answer, err = client.Get("http://x/")
		}
		if err != nil {
			t.Fatal(err)
		}
		<-streaming
		if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("socket: %v, %v", info, err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		_ = answer.Body.Close()
		client.CloseIdleConnections()
	}
}

func TestFrameworkFlags(t *testing.T) {
	for args, want := range map[string]string{
		"":                                 "--master is missing",
		"--master zk://z:2181/mesos":       "ZooKeeper is not asked",
		"--master ftp://m":                 "want host:port",
		"--master m:5050 --linker /x,none": "--linker none: and others",
		"--master m:5050 --nosuch":         "unknown flag",
		"--master m:5050 --principal p":    "one without the other",
		"--master m:5050 --principal p --secret-file /nowhere": "--secret-file: open /nowhere",
		"--master m:5050 --principal p --secret-file /":        "/ is no file",
		"--master m:5050 superfluous":                          "takes no arguments",
		"--master m:5050 --role a --l=x":                       "unknown flag",
	} {
		root := newRootCommand("dev")
		root.SetArgs(append([]string{"framework"}, strings.Fields(args)...))
		wantError(t, root.ExecuteContext(t.Context()), want)
	}
}

func TestBuildArgs(t *testing.T) {
	for _, c := range []struct {
		build app.Build
		want  string
	}{
		{app.Build{Context: "/src"}, "build -t shop-web /src"},
		{app.Build{Context: "/src", Dockerfile: "d/Dockerfile"}, "build -t shop-web -f /src/d/Dockerfile /src"},
		{app.Build{Context: "/src", Dockerfile: "/other"}, "build -t shop-web -f /other /src"},
		{app.Build{Context: "/src", Inline: "FROM scratch"}, "build -t shop-web -f - /src"},
		{app.Build{
			Context: "/src", Target: "prod", NoCache: true, Network: "host", Args: map[string]string{"b": "2", "a": "1"},
			Labels: map[string]string{"l": "v"}, Flags: []app.Flag{{Name: "pull", Value: "true"}},
		}, "build -t shop-web --target prod --no-cache --network host --build-arg a=1 --build-arg b=2 --label l=v --pull=true /src"},
	} {
		if got := strings.Join(buildArgs("shop-web", &c.build), " "); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// A docker command that says what it was asked, and answers as docker does.
const fakeDocker = `#!/bin/sh
[ "$2" != unix:///var/run/docker.sock ] || shift 2 # this machine's
echo "$@" >> "$0.calls"
case "$1 $2" in
"push "*) echo "latest: digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef size: 528";;
"image inspect") case "$5" in postgres) exit 1;; esac; echo "sha256:feed";;
"build -t") case "$3" in *broken*) echo "step 2 failed" >&2; exit 1;; esac;;
esac
`

func TestImagesAreBuilt(t *testing.T) {
	calls := useFakeDocker(t)
	built := func(image string) app.App {
		return app.App{Name: "shop", Services: map[string]app.Service{
			"web": {Name: "web", Image: image, Build: &app.Build{Context: "/src"}},
			"db":  {Name: "db", Image: "postgres"},
		}}
	}
	for _, c := range []struct {
		name               string
		image              string
		registry           *api.Registry
		elsewhere, noBuild bool
		want               string
		calls              string
		err                string
	}{
		{"here", "web", nil, false, false, "sha256:feed", "build -t web /src\nimage inspect --format {{.Id}} web\n", ""},
		{"for others", "web", &api.Registry{Push: "127.0.0.1:5", Pull: "198.18.0.1:5"}, true, false,
			"198.18.0.1:5/shop/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			"image inspect --format {{.Id}} postgres\nbuild -t web /src\ntag web 127.0.0.1:5/shop/web:latest\npush 127.0.0.1:5/shop/web:latest\n", ""},
		{"for nobody", "web", nil, true, false, "", "", "service web has build:, and this cluster has no registry"},
		{"by another", "web", nil, true, true, "web", "", ""},
		{"not at all", "broken", nil, false, false, "", "build -t broken /src\n", "service web: build: docker build: exit status 1\nstep 2 failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := built(c.image)
			b := imageBuilder{out: io.Discard, registry: c.registry, machine: !c.elsewhere, noBuild: c.noBuild}
			wantError(t, b.build(t.Context(), &a), c.err)
			if web := a.Services["web"]; c.err == "" && (web.Image != c.want || web.Build != nil || a.Services["db"].Image != "postgres") {
				t.Errorf("services %+v", a.Services)
			}
			if diff := cmp.Diff(c.calls, calls()); diff != "" {
				t.Errorf("docker was asked (-want +got):\n%s", diff)
			}
		})
	}
}
