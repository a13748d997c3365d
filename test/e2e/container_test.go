package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/linker/record"
	"tombolo/test/cli"
)

// patience limits every wait of these tests. What they wait for takes far less.
const patience = 30 * time.Second

// docker runs a docker command with the Engine of a host and returns its output.
func docker(ctx context.Context, h lab.Host, args ...string) (string, error) {
	b, err := cli.Docker(ctx, h.DockerHost(), args...).CombinedOutput()
	return strings.TrimSpace(string(b)), err
}

// container is a container that a test started with docker run. Its labels link it.
type container struct {
	host lab.Host
	name string
}

// spec describes a container to start.
type spec struct {
	app, service string
	networks     map[string][]string // with the aliases on each; nil means the app's default network
	resolvConf   string              // path on the host; "" means that of the linker
	flags        []string            // for docker run
	args         []string            // for probe
}

// start runs the probe in a container of a host, and removes it when the test ends.
func start(t *testing.T, host int, s spec) container {
	t.Helper()
	c := container{host: testLab.Hosts[host], name: fmt.Sprintf("%s-%s-%d", s.app, s.service, host)}
	if s.networks == nil {
		s.networks = map[string][]string{s.app + "_default": nil}
	}
	networks, err := json.Marshal(s.networks)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"run", "-d", "--name", c.name, "--hostname", c.name, "--net", "tombolo",
		"-v", cmp.Or(s.resolvConf, "/var/lib/tombolo/resolv.conf") + ":/etc/resolv.conf:ro",
		"--label", record.LabelApp + "=" + s.app,
		"--label", record.LabelService + "=" + s.service,
		"--label", record.LabelSlot + "=1",
		"--label", record.LabelNetworks + "=" + string(networks),
	}
	args = append(append(append(args, s.flags...), image), s.args...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if out, err := docker(ctx, c.host, "rm", "-f", c.name); err != nil {
			t.Errorf("remove %s: %v: %s", c.name, err, out)
		}
	})
	if out, err := docker(t.Context(), c.host, args...); err != nil {
		t.Fatalf("start %s on %s: %v: %s", c.name, c.host.Name, err, out)
	}
	return c
}

// exec runs another probe inside the container and returns its output.
func (c container) exec(ctx context.Context, args ...string) (string, error) {
	return docker(ctx, c.host, append([]string{"exec", c.name, "/probe"}, args...)...)
}

// reaches waits until the container can dial target, and returns the answer.
func (c container) reaches(t *testing.T, target string) string {
	t.Helper()
	var out string
	within(t, func(ctx context.Context) (err error) {
		if out, err = c.exec(ctx, "dial", target); err != nil {
			return fmt.Errorf("%s cannot reach %s: %w: %s", c.name, target, err, out)
		}
		return nil
	})
	return out
}

// refuses checks that the container cannot dial target.
func (c container) refuses(t *testing.T, target string) {
	t.Helper()
	out, err := c.exec(t.Context(), "dial", target)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%s dials %s: %v: %s; want the probe to fail", c.name, target, err, out)
	}
}

// address returns the container's IPv4 overlay address.
func (c container) address(t *testing.T) string {
	t.Helper()
	out, err := docker(t.Context(), c.host, "inspect", "-f", "{{.NetworkSettings.Networks.tombolo.IPAddress}}", c.name)
	if err != nil || out == "" {
		t.Fatalf("address of %s: %v: %q", c.name, err, out)
	}
	return out
}

// logs returns the container's output so far.
func (c container) logs(t *testing.T) string {
	t.Helper()
	out, err := docker(t.Context(), c.host, "logs", c.name)
	if err != nil {
		t.Fatalf("logs of %s: %v", c.name, err)
	}
	return out
}

func (c container) running(ctx context.Context) error {
	out, err := docker(ctx, c.host, "inspect", "-f", "{{.State.Running}}", c.name)
	if err == nil && out != "true" {
		err = fmt.Errorf("%s is not running", c.name)
	}
	return err
}

// within polls check until it passes. It fails the test when patience ends.
func within(t *testing.T, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cli.Until(ctx, func() error { return check(ctx) }); err != nil {
		t.Fatal(err)
	}
}
