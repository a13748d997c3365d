package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tombolo/framework/api"
)

// inLab runs docker on the host of an instance. It has to succeed.
func inLab(t *testing.T, i api.Instance, args ...string) {
	t.Helper()
	h := hostNamed(t, i.Host)
	if out, err := docker(t.Context(), h, args...); err != nil {
		t.Fatalf("docker %v on %s: %v: %s", args, h.Name, err, out)
	}
}

// Somebody pauses a container, or takes it off its network, behind the framework's back. `ps`
// says so, and how to undo it.
func TestPausedAndDisconnectedContainersAreNamed(t *testing.T) {
	up(t, compose(t, "stopped", "\n  web: {image: %IMAGE%, command: [serve, \"80\"]}\n"))
	i := instance(t, "stopped", "web", 1)
	says := func(want string) {
		t.Helper()
		within(t, func(ctx context.Context) error {
			out, err := tombolo.Must(ctx, "-p", "stopped", "ps")
			if err == nil && !strings.Contains(out, want) {
				err = fmt.Errorf("ps does not say %q:\n%s", want, out)
			}
			return err
		})
	}
	inLab(t, i, "pause", i.Container)
	says("its container is paused (to let it go on: docker unpause ")
	inLab(t, i, "unpause", i.Container)
	allUp(t, "stopped", 1)
	inLab(t, i, "network", "disconnect", "tombolo", i.Container)
	says("its container was disconnected from the network tombolo (to connect it again: docker network connect tombolo ")
	inLab(t, i, "network", "connect", "tombolo", i.Container)
	within(t, func(context.Context) error {
		if now := instance(t, "stopped", "web", 1); now.State != api.StateUp || now.Reason != "" {
			return fmt.Errorf("web.1 is %s: %s", now.State, now.Reason)
		}
		return nil
	})
}

// A volume is removed while its app is down. `up` does not start the service with an empty one,
// unless the user says so.
func TestUpRefusesToStartWithoutItsData(t *testing.T) {
	file := compose(t, "lost-data", `
  db:
    image: %IMAGE%
    command: [remember, /data/boots]
    volumes: ["data:/data"]
volumes:
  data: {}
`)
	up(t, file)
	db := allUp(t, "lost-data", 1)[0]
	if _, err := tombolo.Must(t.Context(), "-p", "lost-data", "down"); err != nil {
		t.Fatal(err)
	}
	inLab(t, db, "volume", "rm", "lost-data_data")
	if said := upFails(t, file); !strings.Contains(said, "volume lost-data_data is gone from "+db.Host+", and with an empty one") {
		t.Errorf("up does not say that the volume is gone:\n%s", said)
	}
	h := hostNamed(t, db.Host)
	if out, err := docker(t.Context(), h, "volume", "ls", "-q"); err != nil || strings.Contains(out, "lost-data_data") {
		t.Errorf("the refused up made a volume on %s: %v: %s", h.Name, err, out)
	}
	if _, err := tombolo.Must(t.Context(), "-f", file, "up", "--recreate-volumes"); err != nil {
		t.Fatal(err)
	}
	within(t, func(ctx context.Context) error {
		out, err := tombolo.Must(ctx, "-p", "lost-data", "logs")
		if err == nil && !strings.Contains(out, "boot 1") {
			err = errors.New("logs do not say that this is boot 1: " + out)
		}
		return err
	})
}

// The docker command of Engines before 25 refuses start_interval.
func TestStartIntervalComesUpOnEveryEngine(t *testing.T) {
	file := compose(t, "interval", `
  web:
    image: %CHECKED%
    command: [serve, "80"]
    healthcheck: {start_period: 5s, start_interval: 1s}
`)
	out, err := tombolo.Must(t.Context(), "-f", file, "up")
	if err != nil {
		t.Fatal(err)
	}
	i := allUp(t, "interval", 1)[0]
	version, err := docker(t.Context(), hostNamed(t, i.Host), "version", "--format", "{{.Server.APIVersion}}")
	if err != nil {
		t.Fatal(err)
	}
	var minor int
	if _, err := fmt.Sscanf(version, "1.%d", &minor); err != nil {
		t.Fatal(err)
	}
	warned := strings.Contains(out, "web: healthcheck.start_interval is left out on "+i.Host)
	if warned != (minor < 44) {
		t.Errorf("with the API %s, up warned that start_interval is left out: %v:\n%s", strings.TrimSpace(version), warned, out)
	}
}
