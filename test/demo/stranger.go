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
)

// strangers shows that another app's container can neither look up nor reach the
// guestbook's, while it finds itself and reaches what everybody does.
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
		return errors.New("the stranger has no instance")
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

// try runs the stranger's tool, which has to work or has to say that it did not.
func (d *demo) try(ctx context.Context, stranger api.Instance, works bool, argv ...string) error {
	out, err := d.inContainer(ctx, stranger, argv...)
	var exit *exec.ExitError
	switch {
	case err == nil && !works:
		return fmt.Errorf("the stranger's %s worked: %s", strings.Join(argv[1:], " "), out)
	case err != nil && (works || !errors.As(err, &exit) || exit.ExitCode() != 1): // else it did not get to try
		return err
	}
	fmt.Printf("the stranger on %s: %s: %s\n", stranger.Host, strings.Join(argv[1:], " "), out)
	return nil
}

// inContainer runs a program of an instance's image inside its container.
func (d *demo) inContainer(ctx context.Context, i api.Instance, argv ...string) (string, error) {
	h, err := d.lab.Host(i.Host)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "docker", append([]string{"exec", i.Container}, argv...)...)
	cmd.Env = append(cmd.Environ(), "DOCKER_HOST="+h.DockerHost())
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("%s in %s.%d on %s: %w: %s", strings.Join(argv, " "), i.Service, i.Slot, i.Host, err, text)
	}
	return text, nil
}
