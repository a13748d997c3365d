package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
)

func TestUpLinksReplicasAcrossHosts(t *testing.T) {
	file := compose(t, "linked", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    links: ["db:store"]
    depends_on: [db]
    deploy: {replicas: 3}
  db:
    image: %IMAGE%
    command: [serve, "5432"]
`)
	up(t, file)
	used := map[string]bool{}
	for _, i := range allUp(t, "linked", 4) {
		if i.Service != "web" {
			continue
		}
		used[i.Host] = true
		for _, name := range []string{"db", "store"} {
			if out, err := inInstance(t.Context(), i, "dial", name+":5432"); err != nil {
				t.Errorf("web.%d on %s cannot reach %s: %v: %s", i.Slot, i.Host, name, err, out)
			}
		}
	}
	if len(used) != hosts {
		t.Errorf("three replicas run on %d hosts, want %d", len(used), hosts)
	}
	out, err := tombolo.Must(t.Context(), "resolve", "web.linked")
	if err != nil {
		t.Error(err)
	}
	for slot := range 3 {
		if name := fmt.Sprintf(" %d.web.linked", slot+1); !strings.Contains(out, name) {
			t.Errorf("resolve web.linked does not name%s: %q", name, out)
		}
	}
}

func TestTwoUpsAtOnce(t *testing.T) {
	file := compose(t, "twice", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    deploy: {replicas: 3}
`)
	done := make(chan error)
	for range 2 {
		go func() {
			_, err := tombolo.Must(t.Context(), "-f", file, "up")
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := containers(t, "twice"); len(got) != 3 {
		t.Errorf("three instances run in the containers %v, want three", got)
	}
}

func TestFrameworkKilledMidDeploy(t *testing.T) {
	upMidway(t, "killed")
	killControl(t)
	if got := containers(t, "killed"); len(got) >= 7 {
		t.Fatalf("all containers had been started before the framework was killed: %v", got)
	}
	startControl(t)
	whole(t, "killed", 7)
}

// upMidway brings up an app of seven instances and returns when some of them have started. The
// instances of web have not: they wait for the first health check of db.
func upMidway(t *testing.T, app string) {
	t.Helper()
	file := compose(t, app, `
  db: {image: %CHECKED%, command: [serve, "5432"], healthcheck: {interval: 3s}, deploy: {replicas: 3}}
  web:
    image: %IMAGE%
    command: [serve, "80"]
    depends_on: {db: {condition: service_healthy}}
    deploy: {replicas: 4}
`)
	if _, err := tombolo.Must(t.Context(), "-f", file, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	within(t, func(context.Context) error {
		if n := len(containers(t, app)); n < 2 {
			return fmt.Errorf("only %d containers have started", n)
		}
		return nil
	})
}

// killControl kills the process that is the master, the agents and the framework.
func killControl(t *testing.T) {
	t.Helper()
	if err := testLab.KillControl(); err != nil {
		t.Fatal(err)
	}
}

func startControl(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := testLab.StartControl(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestFrameworkKilledKeepsContainers(t *testing.T) {
	file := compose(t, "kept", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    deploy: {replicas: 3}
`)
	up(t, file)
	ids := func() []string {
		var out []string
		for _, i := range allUp(t, "kept", 3) {
			out = append(out, i.Container)
		}
		slices.Sort(out)
		return out
	}
	before := ids()
	killControl(t)
	startControl(t)
	if after := ids(); !slices.Equal(after, before) {
		t.Errorf("the containers were replaced: %v before, %v after", before, after)
	}
}

func TestUpInterruptedWhileItWaits(t *testing.T) {
	file := compose(t, "interrupted", `
  db:
    image: %IMAGE%
    command: [serve, "5432"]
    healthcheck: {test: "false", interval: 5m} # the first check comes late
  web:
    image: %IMAGE%
    command: [serve, "80"]
    depends_on: {db: {condition: service_healthy}}
`)
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tombolo.Binary, "-f", file, "up")
	cmd.Stderr = &out
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(stdout, first); err != nil { // it has sent the app and waits now
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("an interrupted up ends with exit code %d, want 130: %s%s", code, rest, out.String())
	}
	if !strings.Contains(string(rest), "down") {
		t.Errorf("an interrupted up does not mention down, which would end the app: %s", rest)
	}
}

func TestDataSurvivesDownAndUp(t *testing.T) {
	file := compose(t, "kept-data", `
  db:
    image: %IMAGE%
    command: [remember, /data/boots]
    volumes: ["data:/data"]
volumes:
  data: {}
`)
	up(t, file)
	first := allUp(t, "kept-data", 1)[0]
	if _, err := tombolo.Must(t.Context(), "-p", "kept-data", "down"); err != nil {
		t.Fatal(err)
	}
	up(t, file)
	second := allUp(t, "kept-data", 1)[0]
	if second.Host != first.Host {
		t.Errorf("db runs on %s, want %s, which has its volume", second.Host, first.Host)
	}
	out, err := tombolo.Must(t.Context(), "-p", "kept-data", "logs")
	if err != nil || !strings.Contains(out, "boot 2") {
		t.Errorf("logs do not say that this is boot 2: %v: %q", err, out)
	}
}

func TestHostKilled(t *testing.T) {
	file := compose(t, "moved", `
  db:
    image: %IMAGE%
    command: [remember, /data/boots]
    volumes: ["data:/data"]
  web:
    image: %IMAGE%
    command: [serve, "80"]
    ports: ["8081:80"]
    deploy: {replicas: 3}
volumes:
  data: {}
`)
	up(t, file)
	var dbHost string
	for _, i := range allUp(t, "moved", 4) {
		if i.Service == "db" {
			dbHost = i.Host
		}
	}
	other := slices.IndexFunc(testLab.Hosts, func(h lab.Host) bool { return h.Name != dbHost })
	kill(t, testLab.Hosts[other].Name)
	within(t, func(ctx context.Context) error { return elsewhere(ctx, "moved", testLab.Hosts[other].Name) })
	kill(t, dbHost)
	within(t, func(ctx context.Context) error {
		list, err := tombolo.Instances(ctx, "moved")
		if err != nil {
			return err
		}
		for _, i := range list {
			if i.Service == "db" && strings.Contains(i.Reason, "volume") && i.State != api.StateUp {
				return nil
			}
		}
		return fmt.Errorf("db does not wait for its volume: %+v", list)
	})
	startHost(t, testLab.Hosts[other].Name)
	startHost(t, dbHost)
	for _, i := range allUp(t, "moved", 4) {
		if i.Service == "db" && i.Host != dbHost {
			t.Errorf("db runs on %s, want %s, which has its volume", i.Host, dbHost)
		}
	}
}

// elsewhere returns nil if every instance of an app is up on another host.
func elsewhere(ctx context.Context, app, host string) error {
	list, err := tombolo.Instances(ctx, app)
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.State != api.StateUp || i.Host == host {
			return fmt.Errorf("%s.%d is %s on %s: %s", i.Service, i.Slot, i.State, i.Host, i.Reason)
		}
	}
	return nil
}

func kill(t *testing.T, host string) {
	t.Helper()
	if err := testLab.Kill(host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the other tests need all hosts
		if h, err := testLab.Host(host); err == nil && !h.Alive() {
			startHost(t, host)
		}
	})
}

func startHost(t *testing.T, host string) {
	t.Helper()
	if err := testLab.Start(host); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := testLab.WaitHost(ctx, host); err != nil {
		t.Fatal(err)
	}
}
