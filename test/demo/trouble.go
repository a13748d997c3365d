package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
	"tombolo/test/cli"
)

// loseHost kills a host without a volume and waits until all instances are up on the others.
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
	return errors.New("every host has a volume, want one of three hosts without any of the two volumes")
}

// wholeWithout returns nil if every instance is up, and none of them on the host.
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

// loseVolume kills the host with db's volume and waits until ps says that db waits for it. Then it
// starts the host again and finds the entries.
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
	if d.lab, err = lab.Load(); err != nil { // the host has new processes
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
	for _, web := range by["web"] { // the restarted host may run no instance of web
		if err := d.ask(ctx, web.Host); err != nil {
			return err
		}
	}
	return nil
}

// nothingLeft checks that no host has a container or a volume.
func (d *demo) nothingLeft(ctx context.Context) error {
	for _, h := range d.lab.Hosts {
		if !h.Alive() {
			continue
		}
		for _, args := range [][]string{{"ps", "-aq"}, {"volume", "ls", "-q"}} {
			out, err := cli.Docker(ctx, h.DockerHost(), args...).Output()
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
