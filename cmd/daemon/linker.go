package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/internal/state"
	"tombolo/linker"
	"tombolo/linker/supervise"
)

// heartbeat is how often a supervised linker proves that its plugin answers.
const heartbeat = time.Second

// linkerDir is where the linker of a machine's daemon keeps its state.
func linkerDir(stateDir string) string { return filepath.Join(stateDir, "linker") }

// RunLinker runs a linker until ctx ends. The process that the user started only
// supervises: it starts itself again, with the same arguments, as a child that runs the
// linker. It returns a supervise.ExitError if the child refuses to run.
func RunLinker(ctx context.Context, cfg linker.Config) error {
	if !supervise.Supervised() {
		return superviseLinker(ctx, os.Args[1:], cfg.Log)
	}
	cfg.DNSFiles = supervise.InheritedFiles()
	l, err := linker.New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return supervise.SendHeartbeats(ctx, heartbeat, cfg.ProbePlugin) })
	group.Go(func() error {
		defer stop() // it may end without an error, to be started again
		return l.Run(ctx)
	})
	return group.Wait()
}

// superviseLinker runs this binary with the arguments of a linker. It keeps the DNS
// sockets, so that queries wait while the linker restarts; systemd, if it can, keeps
// them when the supervisor ends too.
func superviseLinker(ctx context.Context, args []string, log *slog.Logger) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dns, err := supervise.KeepFiles("dns", func(kept []*os.File) ([]*os.File, error) { return linker.ListenDNS(ctx, kept) })
	if err != nil {
		return err
	}
	return supervise.Run(ctx, supervise.Config{Args: append([]string{self}, args...), Files: dns, Log: log})
}

// runLinker runs this machine's linker as a child process: if it hangs, it can be
// killed without touching the rest, and Docker stops waiting for it.
func (d *daemon) runLinker(ctx context.Context) error {
	host, stateDir := d.hosts.Hosts[0], linkerDir(d.StateDir)
	args := []string{"linker", "--host", host.Name, "--docker", host.Docker, "--run-dir", string(d.RunDir), "--state-dir", stateDir}
	pool4, err := keptPool4(ctx, d.Config, stateDir)
	if err != nil {
		return err
	}
	args = append(args, "--pool", pool4.String())
	pool6, err := keptPool6(d.StateDir, stateDir)
	if err != nil {
		return err
	}
	if pool6.IsValid() {
		args = append(args, "--pool6", pool6.String())
	}
	err = superviseLinker(ctx, args, d.Log.With("part", "linker"))
	var exit supervise.ExitError
	if errors.As(err, &exit) {
		return errors.New("the linker cannot run; the lines above say why")
	}
	return err
}

// keptPool6 returns the IPv6 pool of a cluster that is this machine alone. It is chosen
// once and kept in the state folder. It is unset if the kernel has no IPv6, and if a
// linker ran without one before: its Docker network cannot get another subnet.
func keptPool6(stateDir, linkerDir string) (netip.Prefix, error) {
	file := filepath.Join(stateDir, "pool6.json")
	var pool netip.Prefix
	if err := state.Load(file, &pool); err != nil || pool.IsValid() {
		return pool, err
	}
	_, noIPv6 := os.Stat("/proc/sys/net/ipv6")
	_, noLinker := os.Stat(filepath.Join(linkerDir, "linker.json"))
	if err := errors.Join(ignoreMissing(noIPv6), ignoreMissing(noLinker)); err != nil {
		return pool, err
	}
	if noIPv6 != nil || noLinker == nil {
		return pool, nil
	}
	pool = linker.RandomPool6()
	return pool, state.Save(file, pool, true)
}
