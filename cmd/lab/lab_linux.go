package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"tombolo/cmd/rundir"
	"tombolo/linker"
)

// upWait bounds how long a lab may take to be ready.
const upWait = 90 * time.Second

// ErrLeft is wrapped by errors of Up that leave parts of a lab behind.
var ErrLeft = errors.New("not all of the lab is gone (again: tombolo lab down)")

// Up makes a lab and returns when the Engine and linker of every host and the control
// daemon answer. It first removes a lab that an earlier process left unfinished. A lab
// that runs is an error, but if its registry or control daemon has ended, Up restarts
// these instead. Another daemon on this machine is an error too, because it serves the
// API that the lab would serve. If ctx ends or a step fails, Up removes what it made. The
// caller has validated cfg.
func Up(ctx context.Context, cfg Config) (l *Lab, err error) {
	err = alone(func() error { l, err = upAlone(ctx, cfg); return err })
	return l, err
}

func upAlone(ctx context.Context, cfg Config) (*Lab, error) {
	ctx, cancel := context.WithTimeout(ctx, upWait)
	defer cancel()
	if old, err := Load(); err == nil && old.usable() {
		if len(old.Missing()) > 0 {
			return old, old.mend(ctx)
		}
		return nil, old.inUse()
	}
	if err := remove(); err != nil {
		return nil, fmt.Errorf("remove what an earlier lab left: %w", err)
	}
	if !cfg.Pool.IsValid() && !cfg.NoLinker {
		pool, why, err := linker.FreePool4(ctx)
		if err != nil {
			return nil, err
		}
		if why != nil {
			cfg.Log.Warn("the default pool is not free on this machine; containers get addresses of another one", "pool", pool, "why", why)
		}
		cfg.Pool = pool
	}
	l := plan(cfg)
	if l.hasControl() {
		if err := mayControl(rundir.Default, 0); err != nil {
			return nil, err
		}
	}
	if err := l.up(ctx, cfg); err != nil {
		if rerr := remove(); rerr != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", ErrLeft, rerr))
		}
		return nil, err
	}
	return l, nil
}

// Clear removes a lab that is of no use any more: unfinished, with every host dead, or
// made for a process that has ended. A lab that may be in use is an error, and stays.
func Clear() error {
	return alone(func() error {
		if l, err := Load(); err == nil && l.usable() {
			return l.inUse()
		}
		return remove()
	})
}

// Down removes the lab and everything that it made. It is no error if there is none. A lab that
// may be in use, and that another binary than this one has made, is an error: somebody works
// in it with another checkout. An empty binary removes it nevertheless.
func Down(binary string) error {
	return alone(func() error {
		if l, err := Load(); err == nil && l.usable() && binary != "" && binary != l.Binary {
			return fmt.Errorf("%s made this lab, and %s would remove it: use that binary, or --force", l.Binary, binary)
		}
		return remove()
	})
}

func plan(cfg Config) *Lab {
	l := &Lab{
		Binary: cfg.Binary, Disk: newDisk(), NoLinker: cfg.NoLinker, NoControl: cfg.NoControl,
		Engine: Engine{Path: os.Getenv("PATH"), Settings: cfg.Engine},
	}
	if cfg.Owner != 0 {
		l.Owner = newProcess(cfg.Owner)
	}
	if !cfg.NoIPv6 {
		l.Pool6 = linker.RandomPool6()
	}
	addr := Underlay.Addr().As4()
	for i := 1; i <= cfg.Hosts; i++ {
		addr[3] = byte(10 + i)
		l.Hosts = append(l.Hosts, Host{Name: fmt.Sprintf("h%d", i), Disk: l.Disk, Underlay: netip.AddrFrom4(addr)})
	}
	return l
}

func (l *Lab) up(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(RunDir, 0o711); err != nil {
		return err
	}
	if err := l.save(); err != nil {
		return err
	}
	release, err := makeDisk(l.Disk)
	if err != nil {
		return err
	}
	defer release()
	if err := makeUnderlay(); err != nil {
		return err
	}
	if err := l.startRegistry(ctx); err != nil {
		return err
	}
	for i := range l.Hosts {
		if err := l.startHost(&l.Hosts[i]); err != nil {
			return err
		}
		cfg.Log.Info("host started", "host", l.Hosts[i].Name, "underlay", l.Hosts[i].Underlay)
	}
	g, hostsCtx := errgroup.WithContext(ctx)
	for _, h := range l.Hosts {
		g.Go(func() error { return l.WaitHost(hostsCtx, h.Name) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if l.hasControl() {
		if err := l.StartControl(ctx); err != nil {
			return err
		}
	}
	l.Ready = true
	return l.save()
}

// usable reports whether the lab was ready once, one of its hosts lives, and the process
// for which it was made, if any, does too.
func (l *Lab) usable() bool {
	wanted := l.Owner == (Process{}) || l.Owner.Alive()
	return l.Ready && wanted && slices.ContainsFunc(l.Hosts, Host.Alive)
}

func (l *Lab) inUse() error {
	return fmt.Errorf("a lab of %d is up already (see: tombolo lab ps; remove it with: tombolo lab down)", len(l.Hosts))
}

// remove removes a lab, also one that is only half made.
func remove() error {
	var errs []error
	l, err := Load()
	switch {
	case errors.Is(err, ErrNone):
	case err != nil:
		errs = append(errs, err)
	default:
		errs = append(errs, l.stopControl(), l.Registry.kill())
		for _, h := range l.Hosts {
			errs = append(errs, h.Init.kill())
		}
		removeCgroups(cgroupTop(l.Disk))
	}
	errs = append(errs, removeUnderlay())
	if err := errors.Join(errs...); err != nil {
		return err // and keep the state file, which names what is left
	}
	return errors.Join(removeDisks(DataDir), removeDir(RunDir))
}

// removeDir removes a folder with all that is in it. A folder that is a mount point, for
// a lab on a disk of its own, stays, empty.
func removeDir(dir string) error {
	if err := clearDir(dir); err != nil {
		return err
	}
	err := os.Remove(dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EBUSY) {
		return nil
	}
	return err
}

func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// alone calls f while no other lab command makes or removes things.
func alone(f func() error) error {
	path := RunDir + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the lab: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.New("another lab command is at work; wait for it to end")
	}
	return f()
}
