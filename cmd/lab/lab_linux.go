package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"tombolo/linker"
)

// upWait bounds how long a lab may take to be ready.
const upWait = 90 * time.Second

// ErrLeft says that something of a lab could not be removed.
var ErrLeft = errors.New("not all of the lab is gone (again: tombolo lab down)")

// Up makes a lab and returns when every host's Engine and linker and the control
// daemon answer. A lab that an earlier process left half made is removed first;
// one that runs is an error, unless it lacks its registry or control daemon: these
// are then started again. Another daemon on this machine is an error too: it serves
// what the lab's would. When ctx ends or a step fails, what Up made is removed.
func Up(ctx context.Context, cfg Config) (*Lab, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
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
	l := plan(cfg)
	if err := l.mayControl(); err != nil {
		return nil, err
	}
	if err := l.up(ctx, cfg); err != nil {
		if rerr := remove(); rerr != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", ErrLeft, rerr))
		}
		return nil, err
	}
	return l, nil
}

func plan(cfg Config) *Lab {
	l := &Lab{Binary: cfg.Binary, NoLinker: cfg.NoLinker, NoControl: cfg.NoControl}
	if cfg.Owner != 0 {
		l.Owner = newProcess(cfg.Owner)
	}
	if !cfg.NoIPv6 {
		l.Pool6 = linker.RandomPool6()
	}
	for i := 1; i <= cfg.Hosts; i++ {
		l.Hosts = append(l.Hosts, Host{Name: hostName(i), Underlay: hostAddr(i)})
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
	if err := makeUnderlay(); err != nil {
		return err
	}
	if err := l.startRegistry(ctx); err != nil {
		return err
	}
	for i := range l.Hosts {
		if err := l.startHost(&l.Hosts[i], l.save); err != nil {
			return err
		}
		cfg.Log.Info("host started", "host", l.Hosts[i].Name, "underlay", l.Hosts[i].Underlay)
	}
	if err := l.waitHosts(ctx); err != nil {
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

func (l *Lab) waitHosts(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, h := range l.Hosts {
		g.Go(func() error { return l.WaitHost(ctx, h.Name) })
	}
	return g.Wait()
}

// explain adds the last lines of a log to an error.
func (l *Lab) explain(what, logName string, err error) error {
	b, rerr := os.ReadFile(filepath.Join(RunDir, logName))
	if rerr != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w; its log ends with:\n%s", what, err, lastLines(string(b), 15))
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Clear removes what is left of a lab that is no more: one that was not finished, whose
// hosts are all dead, or that was made for a run that has ended. A lab that somebody may
// be using is an error, and stays.
func Clear() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if l, err := Load(); err == nil && l.usable() {
		return l.inUse()
	}
	return remove()
}

func (l *Lab) inUse() error {
	return fmt.Errorf("a lab of %d is up already (see: tombolo lab ps; remove it with: tombolo lab down)", len(l.Hosts))
}

// Down removes the lab and everything that it made; no lab is no error.
func Down() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	return remove()
}

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
		removeCgroups(cgroupTop)
	}
	errs = append(errs, removeUnderlay())
	if errors.Join(errs...) != nil { // the state file still knows what is left
		return errors.Join(errs...)
	}
	return errors.Join(removeDir(DataDir), removeDir(RunDir))
}

// removeDir removes a folder with all that is in it. One that is a mount point, as
// for a lab on a disk of its own, stays, empty.
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
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// lock keeps two lab commands from making and removing at the same time.
func lock() (unlock func(), err error) {
	path := RunDir + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the lab: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.New("another lab command is at work; wait for it to end")
	}
	return func() { f.Close() }, nil
}
