package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"tombolo/framework/api"
	"tombolo/test/cli"
)

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

// strangers shows that another app's container can neither look up nor reach the
// guestbook's, whatever it tries.
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
	db := by["db"][0]
	for _, try := range [][]string{
		{"/tool", "resolve", "db"},
		{"/tool", "resolve", "db.guestbook.tombolo.internal"},
		{"/tool", "connect", db.Address + ":5432"},
	} {
		out, err := d.inContainer(ctx, list[0], try...)
		var exit *exec.ExitError
		switch {
		case err == nil:
			return fmt.Errorf("the stranger's %s worked: %s", strings.Join(try[1:], " "), out)
		case !errors.As(err, &exit) || exit.ExitCode() != 1: // it did not get to try
			return err
		}
		fmt.Printf("the stranger on %s: %s: %s\n", list[0].Host, strings.Join(try[1:], " "), out)
	}
	return nil
}

// loseHost ends a host that holds no volume and waits until the app is whole.
func (d *demo) loseHost(ctx context.Context) error {
	by, err := d.instances(ctx)
	if err != nil {
		return err
	}
	for _, h := range d.lab.Hosts {
		if h.Name == by["db"][0].Host || h.Name == by["cache"][0].Host {
			continue
		}
		if err := d.command(ctx, "lab", "kill", h.Name); err != nil {
			return err
		}
		if err := cli.Until(ctx, func() error { return d.wholeWithout(ctx, h.Name) }); err != nil {
			return err
		}
		if err := d.command(ctx, "-p", guestbook, "ps"); err != nil {
			return err
		}
		return d.askEachHost(ctx)
	}
	return errors.New("every host holds a volume; three hosts and two volumes have room to spread")
}

// wholeWithout is nil when every instance is up, and none of them on the host.
func (d *demo) wholeWithout(ctx context.Context, host string) error {
	by, err := d.instances(ctx)
	if err != nil {
		return err
	}
	for _, list := range by {
		for _, i := range list {
			if i.State != api.StateUp || i.Host == host {
				return fmt.Errorf("%s.%d is %s on %s: %s", i.Service, i.Slot, i.State, i.Host, i.Reason)
			}
		}
	}
	return nil
}

// loseVolume ends the host of db's volume, waits until ps says that db waits for
// it, and starts it again: the entries are still there.
func (d *demo) loseVolume(ctx context.Context) error {
	by, err := d.instances(ctx)
	if err != nil {
		return err
	}
	host := by["db"][0].Host
	if err := d.command(ctx, "lab", "kill", host); err != nil {
		return err
	}
	err = cli.Until(ctx, func() error {
		by, err := d.instances(ctx)
		if err != nil {
			return err
		}
		db := by["db"][0]
		if db.State == api.StateUp || !strings.Contains(db.Reason, "volume") {
			return fmt.Errorf("db is %s: %s", db.State, db.Reason)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := d.command(ctx, "-p", guestbook, "ps"); err != nil {
		return err
	}
	if err := d.command(ctx, "lab", "start", host); err != nil {
		return err
	}
	if err := cli.Until(ctx, func() error { return d.wholeWithout(ctx, "") }); err != nil {
		return err
	}
	if err := d.command(ctx, "-p", guestbook, "ps"); err != nil {
		return err
	}
	return d.askEachHost(ctx)
}

// nothingLeft checks that no container and no volume of the apps is on any host.
func (d *demo) nothingLeft(ctx context.Context) error {
	for _, h := range d.lab.Hosts {
		if !h.Alive() {
			continue
		}
		for _, args := range [][]string{{"ps", "-aq"}, {"volume", "ls", "-q"}} {
			cmd := exec.CommandContext(ctx, "docker", args...)
			cmd.Env = append(cmd.Environ(), "DOCKER_HOST="+h.DockerHost())
			out, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("docker %v on %s: %w", args, h.Name, err)
			}
			if len(out) > 0 {
				return fmt.Errorf("docker %v on %s still lists: %s", args, h.Name, out)
			}
		}
		fmt.Printf("%s: no container, no volume\n", h.Name)
	}
	return nil
}
