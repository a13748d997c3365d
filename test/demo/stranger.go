package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"

	"tombolo/framework/api"
	"tombolo/test/cli"
)

// strangers shows that a container of another app can neither look up nor reach the containers of
// the guestbook. It can look up itself and reach the published port.
func (d *demo) strangers(ctx context.Context) error {
	if err := d.command(ctx, "-f", filepath.Join(d.examples, "stranger", "compose.yaml"), "up"); err != nil {
		return err
	}
	by, err := d.instances(ctx)
	if err != nil {
		return err
	}
	list, err := d.cli.Instances(ctx, "stranger")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errors.New("the app stranger has no instance")
	}
	db, web := by["db"][0], by["web"][0]
	webHost, err := d.lab.Host(web.Host)
	if err != nil {
		return err
	}
	for _, try := range []struct {
		works bool
		argv  []string
	}{
		{true, []string{"/tool", "resolve", "tool"}},
		{true, []string{"/tool", "connect", net.JoinHostPort(webHost.Underlay.String(), pagePort)}},
		{false, []string{"/tool", "resolve", "db"}},
		{false, []string{"/tool", "resolve", "db.guestbook.tombolo.internal"}},
		{false, []string{"/tool", "connect", db.Address + ":5432"}},
	} {
		if err := d.try(ctx, list[0], try.works, try.argv...); err != nil {
			return err
		}
	}
	return nil
}

// try runs the stranger's tool, which has to succeed if works is set, and else to fail with exit code 1.
func (d *demo) try(ctx context.Context, stranger api.Instance, works bool, argv ...string) error {
	out, err := d.inContainer(ctx, stranger, argv...)
	var exit *exec.ExitError
	switch {
	case err == nil && !works:
		return fmt.Errorf("the stranger's %s succeeded, want it to fail: %s", strings.Join(argv[1:], " "), out)
	case err != nil && (works || !errors.As(err, &exit) || exit.ExitCode() != 1): // another code means that the tool did not run
		return err
	}
	fmt.Printf("the stranger on %s: %s: %s\n", stranger.Host, strings.Join(argv[1:], " "), out)
	return nil
}

// inContainer runs a program inside an instance's container and returns its output.
func (d *demo) inContainer(ctx context.Context, i api.Instance, argv ...string) (string, error) {
	h, err := d.lab.Host(i.Host)
	if err != nil {
		return "", err
	}
	out, err := cli.Docker(ctx, h.DockerHost(), append([]string{"exec", i.Container}, argv...)...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("%s in %s.%d on %s: %w: %s", strings.Join(argv, " "), i.Service, i.Slot, i.Host, err, text)
	}
	return text, nil
}
