package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
)

// keeper is an app of one service with a volume. shop adds services with links.
const (
	keeper = `name: shop
volumes: {data: {}}
services:
  keeper:
    image: probe
    command: [remember, /data/boots]
    volumes: ["data:/data"]
`
	shop = keeper + `  web:
    image: probe
    command: [serve, "80"]
    ports: ["8080:80"]
    links: ["db:store"]
    depends_on: [db]
    deploy: {replicas: 2}
  db:
    image: probe
    command: [serve, "5432"]
`
)

func writeApp(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// startEngine starts the machine's Docker Engine, as systemd would at boot.
func startEngine(t *testing.T, m *machine) {
	t.Helper()
	m.sh(t, "setsid -f dockerd --exec-opt native.cgroupdriver=cgroupfs >/run/dockerd.log 2>&1")
	eventually(t, func() error {
		if out, err := m.inside(t.Context(), "docker", "version").CombinedOutput(); err != nil {
			return fmt.Errorf("docker version: %w: %s", err, out)
		}
		return nil
	})
}

// withImage boots a machine whose Engine has the probe's image.
func withImage(t *testing.T) *machine {
	t.Helper()
	m := start(t)
	startEngine(t, m)
	dir := filepath.Dir(probe)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY probe /probe\nENTRYPOINT [\"/probe\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.sh(t, "docker build -q -t probe "+dir)
	return m
}

// containers returns the sorted IDs of an app's containers, also of those that have ended.
func containers(t *testing.T, m *machine, app string) []string {
	t.Helper()
	ids := strings.Fields(m.sh(t, "docker ps -aq --no-trunc --filter label=tombolo.app="+app))
	slices.Sort(ids)
	return ids
}

// allUp waits until each of n instances is up and returns their containers.
func allUp(t *testing.T, m *machine, app string, n int) []string {
	t.Helper()
	var ids []string
	eventually(t, func() error {
		list, err := m.Instances(t.Context(), app)
		if err != nil {
			return err
		}
		ids = nil
		for _, i := range list {
			if i.State != api.StateUp {
				return fmt.Errorf("%s.%d is %s: %s", i.Service, i.Slot, i.State, i.Reason)
			}
			ids = append(ids, i.Container)
		}
		if len(ids) != n {
			return fmt.Errorf("the app has %d instances, want %d", len(ids), n)
		}
		return nil
	})
	slices.Sort(ids)
	return ids
}

func TestAppOnOneMachine(t *testing.T) {
	m := withImage(t)
	before := m.traces(t)
	file := writeApp(t, shop)
	m.fails(t, 1, "no daemon runs here (tombolo up starts one)", "daemon", "status")
	m.fails(t, 1, "no framework answers", "ps", "-a")
	if out := m.must(t, "daemon", "stop"); out != "no daemon runs\n" {
		t.Errorf("daemon stop without a daemon printed %q", out)
	}
	if out := m.must(t, "-f", file, "up"); !strings.HasSuffix(out, "shop is up: 4 instances\n  web 80/tcp: 192.0.2.10:8080\n") {
		t.Errorf("up does not end with the number of instances and the published port:\n%s", out)
	}
	ids := allUp(t, m, "shop", 4)
	if out := m.must(t, "-p", "shop", "ps"); strings.Count(out, " 8080->80/tcp") != 2 {
		t.Errorf("ps does not show the published port of both instances:\n%s", out)
	}
	checkLinks(t, m)
	m.must(t, "-f", file, "up")
	if again := allUp(t, m, "shop", 4); !slices.Equal(again, ids) {
		t.Errorf("a second up replaced containers: %v before, %v after", ids, again)
	}
	checkLogs(t, m)
	if out := m.must(t, "daemon", "status"); !strings.Contains(out, "shop: 4 of 4 instances up") {
		t.Errorf("daemon status does not show that the app is up:\n%s", out)
	}
	checkNobody(t, m)
	m.fails(t, 1, "the daemon is needed by shop (first: tombolo -p shop down)", "daemon", "stop")
	m.must(t, "-p", "shop", "down")
	if left := containers(t, m, "shop"); len(left) > 0 {
		t.Errorf("down left the containers %v", left)
	}
	m.sh(t, "docker run -d --name stranger --net tombolo probe serve 80")
	m.fails(t, 1, "stranger (first: docker rm -f stranger)", "daemon", "stop")
	m.sh(t, "docker rm -f stranger")
	if out := m.must(t, "-f", file, "down", "-v"); !strings.Contains(out, "removed volumes: shop_data") {
		t.Errorf("down -v does not name the removed volume: %q", out)
	}
	m.must(t, "daemon", "stop")
	checkNothingLeft(t, m, before)
}

func checkLinks(t *testing.T, m *machine) {
	t.Helper()
	db := m.must(t, "resolve", "db.shop")
	if !strings.Contains(db, "1.db.shop") {
		t.Errorf("resolve db.shop does not name the instance: %q", db)
	}
	if store := m.must(t, "resolve", "store", "--from", "1.web.shop"); store != db {
		t.Errorf("store is %q for web.1, and db.shop is %q for the host; want the same", store, db)
	}
	m.fails(t, 1, "the host's names carry the app", "resolve", "db")
	m.fails(t, 1, "nothing that it is linked to", "resolve", "store", "--from", "1.db.shop")
	m.fails(t, 1, `no container "nobody"`, "resolve", "db", "--from", "nobody")
	for _, target := range []string{"127.0.0.1:8080", "192.0.2.10:8080"} {
		m.sh(t, probe+" dial "+target)
	}
}

// checkNobody runs the commands that need root as the user nobody.
func checkNobody(t *testing.T, m *machine) {
	t.Helper()
	m.sh(t, "echo 'services: {a: {image: x}}' >/run/compose.yaml; chmod 644 /run/compose.yaml") // the user nobody can read it
	for _, args := range [][]string{
		{"-p", "shop", "-f", "/run/compose.yaml", "up"}, {"framework", "--master", "m:5050"},
		{"ps", "-a"}, {"-p", "shop", "logs"}, {"-p", "shop", "down"}, {"resolve", "db.shop"},
		{"linker", "status"}, {"daemon", "status"}, {"daemon", "stop"}, {"lab", "up"}, {"lab", "down"},
	} {
		out, err := m.inside(t.Context(), append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "root is needed") || !strings.Contains(string(out), "try with sudo") {
			t.Errorf("tombolo %v as nobody: %v: %s", args, err, out)
		}
	}
}

func checkLogs(t *testing.T, m *machine) {
	t.Helper()
	if out := m.must(t, "-p", "shop", "logs", "keeper"); out != "keeper.1  | boot 1\n" {
		t.Errorf("logs printed %q, want the first boot of keeper", out)
	}
	follow := m.inside(t.Context(), binary, "-p", "shop", "logs", "-f")
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("keeper.1"))); err != nil {
		t.Fatal(err)
	}
	signal(t, follow, syscall.SIGINT)
	if err := follow.Wait(); err != nil {
		t.Errorf("an interrupted logs -f ended with %v, want no error", err)
	}
}

// checkNothingLeft compares the machine's traces with those from before the first up.
func checkNothingLeft(t *testing.T, m *machine, before []string) {
	t.Helper()
	ours := func(lines []string) []string {
		return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { // these belong to Docker, or stay on purpose
			return strings.HasPrefix(l, "cgroup ") || l == "file /run/tombolo/lab.lock"
		})
	}
	if diff := cmp.Diff(ours(before), ours(m.traces(t))); diff != "" {
		t.Errorf("daemon stop left something (-before +after):\n%s", diff)
	}
	if networks := m.sh(t, "docker network ls -q --filter driver=tombolo"); networks != "" {
		t.Errorf("daemon stop left the Docker networks %s", networks)
	}
	if rules := m.sh(t, "iptables -S; ip6tables -S"); strings.Contains(rules, "tombolo0") {
		t.Errorf("daemon stop left iptables rules:\n%s", rules)
	}
}

// Two ups that find no daemon start a single one, and both succeed.
func TestTwoUpsStartOneDaemon(t *testing.T) {
	m := withImage(t)
	file := writeApp(t, shop)
	results := make(chan ended, 2)
	for range 2 {
		go func() {
			r, err := m.Run(t.Context(), "-f", file, "up")
			results <- ended{r.Code, r.Stderr, err}
		}()
	}
	for range 2 {
		if r := <-results; r.code != 0 || r.err != nil {
			t.Errorf("up: %+v", r)
		}
	}
	allUp(t, m, "shop", 4)
	if pids := strings.Fields(m.sh(t, "pgrep -f '^[^ ]*tombolo daemon run'")); len(pids) != 1 {
		t.Errorf("the daemon processes are %v, want one", pids)
	}
	m.must(t, "-p", "shop", "down", "-v")
	m.must(t, "daemon", "stop")
}

// killDaemon kills the daemon and its linker at once.
func killDaemon(t *testing.T, m *machine) {
	t.Helper()
	pids := strings.Fields(m.sh(t, "pgrep -f 'tombolo (daemon run|linker)'"))
	m.sh(t, "kill -9 "+strings.Join(pids, " ")+" || true") // one may have ended with the other
	m.sh(t, "until ! pgrep -f 'tombolo (daemon run|linker)' >/dev/null; do sleep 0.05; done")
}

func TestContainersSurviveAKilledDaemon(t *testing.T) {
	m := withImage(t)
	before := m.traces(t)
	file := writeApp(t, shop)
	m.must(t, "-f", file, "up")
	ids := allUp(t, m, "shop", 4)
	killDaemon(t, m)
	m.sh(t, probe+" dial 127.0.0.1:8080") // connections need no daemon
	m.fails(t, 1, "no framework answers", "ps", "-a")
	m.must(t, "-f", file, "up")
	if again := allUp(t, m, "shop", 4); !slices.Equal(again, ids) {
		t.Errorf("the containers were replaced: %v before, %v after", ids, again)
	}
	checkLinks(t, m)
	killDaemon(t, m)
	out := m.must(t, "-p", "shop", "down", "-v") // this starts a daemon that finds the app in its store
	if left := containers(t, m, "shop"); len(left) > 0 || !strings.Contains(out, "shop is down") {
		t.Errorf("down left the containers %v and printed %q", left, out)
	}
	killDaemon(t, m)
	m.must(t, "daemon", "stop") // this removes everything that the killed daemon left
	checkNothingLeft(t, m, before)
	if out := m.must(t, "-p", "shop", "down"); out != "shop is not up\n" {
		t.Errorf("down of an app that is not up printed %q", out)
	}
}

// A reboot keeps the disk and clears /run. With the systemd unit, the daemon starts before Docker.
// Without it, the next up starts the daemon.
func TestAppsSurviveAReboot(t *testing.T) {
	for _, c := range []struct {
		name string
		unit bool
		app  string
	}{
		{"with the unit", true, shop},
		{"without the unit", false, keeper}, // Docker waits 15 s for the plugin for each container, so the app is small
	} {
		t.Run(c.name, func(t *testing.T) {
			m := withImage(t)
			file := writeApp(t, c.app)
			m.must(t, "-f", file, "up")
			ids := containers(t, m, "shop")
			m.halt(t)
			m.boot(t)
			if c.unit {
				m.sh(t, "setsid -f "+binary+" daemon run >/run/daemon.log 2>&1")
			}
			startEngine(t, m)
			m.must(t, "-f", file, "up")
			eventually(t, func() error {
				if now := containers(t, m, "shop"); len(now) != len(ids) {
					return fmt.Errorf("the app has %d containers, want %d as before the reboot", len(now), len(ids))
				}
				return nil
			})
			if again := allUp(t, m, "shop", len(ids)); slices.Equal(again, ids) {
				t.Errorf("the containers after the reboot are the old ones: %v", again)
			}
			if out := m.must(t, "-p", "shop", "logs", "keeper"); out != "keeper.1  | boot 2\n" {
				t.Errorf("logs printed %q, want the second boot of keeper", out)
			}
			m.must(t, "-p", "shop", "down", "-v")
			m.must(t, "daemon", "stop")
		})
	}
}

func TestUpInterruptedWhileTheDaemonStarts(t *testing.T) {
	m := withImage(t)
	file := writeApp(t, shop)
	cmd := m.inside(t.Context(), binary, "-f", file, "up")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := os.Stat(m.path("/run/tombolo/daemon.pid"))
		return err
	})
	signal(t, cmd, syscall.SIGINT)
	_ = cmd.Wait()
	m.must(t, "-f", file, "up")
	allUp(t, m, "shop", 4)
	m.must(t, "-p", "shop", "down", "-v")
	m.must(t, "daemon", "stop")
}

// If an app cannot come up, `up` says why and what to do.
func TestUpExplainsAFailure(t *testing.T) {
	m := withImage(t)
	file := writeApp(t, `name: bad
services:
  web:
    image: probe
    command: [wrong, words]
  db:
    image: probe
    command: [serve, "5432"]
`)
	r, err := m.Run(context.WithoutCancel(t.Context()), "-f", file, "up")
	if err != nil || r.Code != 1 {
		t.Fatalf("up: %v, %+v, want exit code 1", err, r)
	}
	for _, want := range []string{"web.1 failed", "    | usage: probe"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("up does not say %q:\n%s", want, r.Stdout)
		}
	}
	if strings.Contains(r.Stdout, "    | boot") || !strings.Contains(r.Stderr, "bad cannot come up: web.1") ||
		!strings.Contains(r.Stderr, "tombolo -p bad down") {
		t.Errorf("up does not say that web.1 failed and how to remove the app, or shows other logs:\n%s%s", r.Stdout, r.Stderr)
	}
	var list []api.Instance
	if err := json.Unmarshal([]byte(m.must(t, "ps", "-p", "bad", "--format", "json")), &list); err != nil || len(list) != 2 {
		t.Errorf("ps: %v, %+v, want two instances", err, list)
	}
	m.must(t, "-p", "bad", "down")
	m.must(t, "daemon", "stop")
}
