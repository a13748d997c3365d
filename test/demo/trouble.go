package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
	"tombolo/test/cli"
)

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
	if d.lab, err = lab.Load(); err != nil { // the host's processes are others now
		return err
	}
	if err := cli.Until(ctx, func() error { return d.wholeWithout(ctx, "") }); err != nil {
		return err
	}
	if err := d.command(ctx, "-p", guestbook, "ps"); err != nil {
		return err
	}
	if by, err = d.instances(ctx); err != nil {
		return err
	}
	for _, web := range by["web"] { // the host that came back may have none
		if err := d.ask(ctx, web.Host); err != nil {
			return err
		}
	}
	return nil
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
