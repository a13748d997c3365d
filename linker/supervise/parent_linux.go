package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// beatFD is the child's end of the pipe that carries heartbeats; beatEnv tells it
// that there is one, and how many files follow it.
const (
	beatFD  = 3
	beatEnv = "TOMBOLO_SUPERVISED"
)

// Config says what to keep running. Zero times take the defaults.
type Config struct {
	Args     []string      // the program and its arguments
	Files    []*os.File    // stay open over the child's restarts; the child has them by Files
	Start    time.Duration // until the first heartbeat; default 30 s
	Patience time.Duration // between two heartbeats; default 5 s
	Grace    time.Duration // between SIGTERM and SIGKILL when Run ends; default 10 s
	Log      *slog.Logger
}

// Restarts are spaced by minWait at first and maxWait at last, as long as the
// child does not live for longer than that.
const (
	minWait = 100 * time.Millisecond
	maxWait = 5 * time.Second
)

// ExitError is how the child ended of its own will, and not well: starting it
// again would not help.
type ExitError struct{ Code int }

// Error implements error.
func (e ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// Run keeps the child running until ctx ends, and then ends it. The child is given
// SIGTERM and some time first. Run returns ExitError when the child said by exit
// code 1 that it cannot work; whatever else ends it has it started again.
func Run(ctx context.Context, cfg Config) error {
	// Pdeathsig watches the thread that started the child, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cfg = cfg.withDefaults()
	wait := minWait
	for {
		began := time.Now()
		err := runOnce(ctx, cfg)
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &exit) && exit.ExitCode() == 1:
			return ExitError{Code: 1}
		}
		if time.Since(began) > maxWait {
			wait = minWait
		}
		cfg.Log.Error("restarting", "ended", fmt.Sprint(err), "after", time.Since(began), "wait", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, maxWait)
	}
}

func (c Config) withDefaults() Config {
	for field, value := range map[*time.Duration]time.Duration{&c.Start: 30 * time.Second, &c.Patience: 5 * time.Second, &c.Grace: 10 * time.Second} {
		if *field == 0 {
			*field = value
		}
	}
	return c
}

// runOnce runs the child until it ends, stops beating, or ctx ends.
func runOnce(ctx context.Context, cfg Config) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(cfg.Args[0], cfg.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", beatEnv, len(cfg.Files)))
	cmd.ExtraFiles = append([]*os.File{w}, cfg.Files...) // from beatFD on
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	beats := make(chan struct{}, 1) // one beat stands for several
	go listen(r, beats)
	patience := time.NewTimer(cfg.Start)
	defer patience.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case _, ok := <-beats:
			if !ok {
				beats = nil // the child is ending
				continue
			}
			notify("READY=1")
			patience.Reset(cfg.Patience)
		case <-tick.C:
			notify("WATCHDOG=1") // of the parent itself: the child is its own concern
		case <-patience.C:
			cfg.Log.Error("no heartbeat: killing", "pid", cmd.Process.Pid)
			_ = cmd.Process.Kill() // fails only when it has just ended
			return errors.Join(errors.New("it stopped answering"), <-ended)
		case <-ctx.Done():
			notify("STOPPING=1")
			return end(cmd, ended, cfg.Grace)
		}
	}
}

// listen turns bytes into beats until the pipe closes.
func listen(r *os.File, beats chan<- struct{}) {
	defer close(beats)
	var b [16]byte
	for {
		if _, err := r.Read(b[:]); err != nil {
			return
		}
		select {
		case beats <- struct{}{}:
		default:
		}
	}
}

func end(cmd *exec.Cmd, ended <-chan error, grace time.Duration) error {
	_ = cmd.Process.Signal(syscall.SIGTERM) // fails only when it has just ended
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case err := <-ended:
		return err
	case <-late.C:
		_ = cmd.Process.Kill()
		return <-ended
	}
}
