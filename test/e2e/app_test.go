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
		t.Errorf("three replicas run on %d hosts", len(used))
	}
	out, err := tombolo.Must(t.Context(), "resolve", "web.linked")
	if err != nil {
		t.Error(err)
	}
	for slot := range 3 { // an instance has an address of each family
		if name := fmt.Sprintf(" %d.web.linked", slot+1); !strings.Contains(out, name) {
			t.Errorf("resolve web.linked says nothing of%s: %q", name, out)
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
		t.Errorf("three instances run in %v", got)
	}
}

func TestFrameworkKilledMidDeploy(t *testing.T) {
	upMidway(t, "killed")
	killControl(t)
	if got := containers(t, "killed"); len(got) >= 7 {
		t.Fatalf("it was killed when all was started: %v", got)
	}
	startControl(t)
	whole(t, "killed", 7)
}

// upMidway brings an app of seven instances up and returns when some of them are
// started and some are not: those of web wait for the first health check of db's.
func upMidway(t *testing.T, app string) {
	t.Helper()
	file := compose(t, app, `
  db: {image: %PATIENT%, command: [serve, "5432"], healthcheck: {interval: 3s}, deploy: {replicas: 3}}
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
			return fmt.Errorf("%d containers", n)
		}
		return nil
	})
}

// killControl kills the master, the agents and the framework, which are one process
// here.
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
		t.Errorf("containers were replaced: %v, then %v", before, after)
	}
}

func TestInterruptedUp(t *testing.T) {
	file := compose(t, "interrupted", `
  db:
    image: %IMAGE%
    command: [serve, "5432"]
    healthcheck: {test: "false", interval: 5m} # it says nothing for long
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
	if _, err := io.ReadFull(stdout, first); err != nil { // it waits for the app now
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
		t.Errorf("exit code %d: %s%s", code, rest, out.String())
	}
	if !strings.Contains(string(rest), "down") {
		t.Errorf("an interrupted up does not say what goes on: %s", rest)
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
		t.Errorf("the volume is on %s, but db went to %s", first.Host, second.Host)
	}
	out, err := tombolo.Must(t.Context(), "-p", "kept-data", "logs")
	if err != nil || !strings.Contains(out, "boot 2") {
		t.Errorf("logs: %v: %q", err, out)
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
		return fmt.Errorf("nobody waits for a volume: %+v", list)
	})
	startHost(t, testLab.Hosts[other].Name)
	startHost(t, dbHost)
	for _, i := range allUp(t, "moved", 4) {
		if i.Service == "db" && i.Host != dbHost {
			t.Errorf("db went to %s, its volume is on %s", i.Host, dbHost)
		}
	}
}

// elsewhere is nil when every instance of an app is up on another host than this.
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
	t.Cleanup(func() { // the other tests want a whole lab
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
