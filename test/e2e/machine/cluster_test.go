package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"tombolo/framework/local/agent"
	"tombolo/framework/local/cluster"
	"tombolo/framework/local/master"
)

// `lab up` refuses to run beside a daemon, and leaves the daemon alone.
func TestNoLabBesideADaemon(t *testing.T) {
	m := withImage(t)
	file := writeApp(t, keeper)
	m.must(t, "-f", file, "up")
	m.must(t, "lab", "down") // this creates the lock file
	before := m.traces(t)
	m.fails(t, 1, "a tombolo daemon runs here (process", "lab", "up", "--hosts", "1")
	if after := m.traces(t); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("the refused lab up changed the machine.\nbefore:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if out := m.must(t, "daemon", "status"); !strings.Contains(out, "shop: 1 of 1 instances up") {
		t.Errorf("daemon status does not show that the app is up:\n%s", out)
	}
	m.must(t, "-p", "shop", "down", "-v")
	m.must(t, "daemon", "stop")
}

// The cluster is one that packaging/install.sh would make: a master that listens on TCP and requires
// authentication, a linker, and a framework that is given only the master's address.
func TestFrameworkOfACluster(t *testing.T) {
	m := withImage(t)
	serveMaster(t, m)
	file := writeApp(t, shop)
	m.sh(t, "umask 077; echo "+secret+" >/run/secret")
	m.sh(t, "setsid -f "+binary+" framework --principal tombolo --secret-file /run/secret --master http://127.0.0.1:5050 >/run/framework.log 2>&1")
	eventually(t, func() error {
		return fileContains(m, "/run/framework.log", "the linker does not answer: waiting for it")
	})
	m.fails(t, 1, "does not answer yet", "-f", file, "up")
	m.sh(t, "setsid -f "+binary+" linker >/run/linker.log 2>&1")
	eventually(t, func() error {
		_, err := m.Must(t.Context(), "ps", "-a")
		return err
	})
	m.must(t, "-f", file, "up")
	allUp(t, m, "shop", 4)
	checkLinks(t, m)

	// While the framework is down, no command starts a daemon in its place.
	m.sh(t, "pkill -9 -f '^"+binary+" framework'")
	for _, args := range [][]string{{"-f", file, "up"}, {"-p", "shop", "down"}, {"ps", "-a"}} {
		m.fails(t, 1, "systemctl start tombolo-framework", args...)
	}
	m.sh(t, "rm /run/tombolo/daemon.pid /run/tombolo/api.sock") // a reboot would remove these files
	for _, args := range [][]string{{"-f", file, "up"}, {"-p", "shop", "down"}, {"ps", "-a"}, {"daemon", "run"}} {
		m.fails(t, 1, "this machine is a host of a cluster", args...)
	}
	m.sh(t, "rm -f /run/tombolo/daemon.pid")
	m.sh(t, "setsid -f "+binary+" framework --principal tombolo --secret-file /run/secret --master http://127.0.0.1:5050 >>/run/framework.log 2>&1")
	eventually(t, func() error {
		_, err := m.Must(t.Context(), "ps", "-a")
		return err
	})
	allUp(t, m, "shop", 4)
	m.must(t, "-p", "shop", "down")
}

// fileContains returns an error if a file of the machine does not contain words.
func fileContains(m *machine, file, words string) error {
	text, err := os.ReadFile(m.path(file))
	if err == nil && !strings.Contains(string(text), words) {
		err = fmt.Errorf("%s does not contain %q:\n%s", file, words, text)
	}
	return err
}

// secret is the framework's, with which it authenticates to the master.
const secret = "s3cret"

// serveMaster runs a master with one agent, for the machine's Engine, on a TCP port of the machine.
func serveMaster(t *testing.T, m *machine) {
	t.Helper()
	c, err := cluster.New(cluster.Config{
		Master: master.Config{
			Dir:         filepath.Join(m.disk, "master"), // this path is the same inside and outside of the machine
			Credentials: map[string]string{"tombolo": secret},
		},
		Agents: []agent.Config{{
			Hostname: "machine", DockerHost: "unix://" + m.path("/run/docker.sock"), WorkDir: filepath.Join(m.disk, "agent"),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := m.listen("127.0.0.1:5050")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	server := &http.Server{Handler: c.Handler()}
	ran, served := make(chan error, 1), make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(server.Close(), <-ran); err != nil {
			t.Errorf("the master ended with %v", err)
		}
		<-served
	})
}

// listen listens inside the machine. The thread has to return to its namespace: if the thread that
// started the machine ended, the machine would end too.
func (m *machine) listen(address string) (net.Listener, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		return nil, err
	}
	defer home.Close()
	inside, err := netns.GetFromPid(m.init.Process.Pid)
	if err != nil {
		return nil, err
	}
	defer inside.Close()
	if err := netns.Set(inside); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	return listener, errors.Join(err, netns.Set(home))
}
