package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"tombolo/internal/wake"
)

// heartbeatFD is the child's end of the pipe that carries heartbeats. childEnv is set in
// the child; its value is the number of files that follow the pipe.
const (
	heartbeatFD = 3
	childEnv    = "TOMBOLO_SUPERVISED"
)

// Config describes the child.
type Config struct {
	Args             []string      // the program and its arguments
	Files            []*os.File    // stay open while the child restarts; it gets them by InheritedFiles
	StartTimeout     time.Duration // until the first heartbeat; default 30 s
	HeartbeatTimeout time.Duration // between two heartbeats; default 5 s
	StopTimeout      time.Duration // between SIGTERM and SIGKILL when Run ends; default 10 s
	Log              *slog.Logger
}

// The pause before a restart doubles from shortestPause to longestPause, as long as the
// child does not live for longer than longestPause.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second

	dumpTimeout = time.Second // for a child that does not answer to write what it does
)

// ExitError says that the child ended by itself because it cannot work. Starting it again
// would not help.
type ExitError struct{ Code int }

func (e ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// Run keeps the child running until ctx ends. It then sends SIGTERM, waits for
// StopTimeout at most, and kills the child if it still runs. Run returns ExitError if the
// child exits with code 1; it restarts a child that ends in any other way.
func Run(ctx context.Context, cfg Config) error {
	// Pdeathsig watches the thread that started the child, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cfg.StartTimeout = cmp.Or(cfg.StartTimeout, 30*time.Second)
	cfg.HeartbeatTimeout = cmp.Or(cfg.HeartbeatTimeout, 5*time.Second)
	cfg.StopTimeout = cmp.Or(cfg.StopTimeout, 10*time.Second)
	pauses := wake.NewBackoff(shortestPause, longestPause)
	for {
		start := time.Now()
		err := runOnce(ctx, cfg)
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &exit) && exit.ExitCode() == 1:
			return ExitError{Code: 1}
		}
		if time.Since(start) > longestPause {
			pauses.Reset()
		}
		cfg.Log.Error("restarting the child", "reason", fmt.Sprint(err), "lived", time.Since(start))
		if !pauses.Wait(ctx) {
			return nil
		}
	}
}

// runOnce runs the child until it ends, its heartbeats stop, or ctx ends.
func runOnce(ctx context.Context, cfg Config) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(cfg.Args[0], cfg.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", childEnv, len(cfg.Files)))
	cmd.ExtraFiles = append([]*os.File{w}, cfg.Files...) // from heartbeatFD on
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	ended := make(chan error, 1) // one slot: Wait returns once, and nobody may receive
	go func() { ended <- cmd.Wait() }()
	heartbeats := wake.NewSignal()
	go readHeartbeats(r, heartbeats)
	timeout := time.NewTimer(cfg.StartTimeout)
	defer timeout.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-heartbeats:
			notify("READY=1", nil)
			timeout.Reset(cfg.HeartbeatTimeout)
		case <-tick.C:
			notify("WATCHDOG=1", nil) // about the parent: it watches the child itself
		case <-timeout.C:
			cfg.Log.Error("killing the child: it sends no heartbeat; its goroutines follow", "pid", cmd.Process.Pid)
			return errors.Join(errors.New("the child stopped answering"), end(cmd, syscall.SIGQUIT, ended, dumpTimeout))
		case <-ctx.Done():
			notify("STOPPING=1", nil)
			return end(cmd, syscall.SIGTERM, ended, cfg.StopTimeout)
		}
	}
}

// readHeartbeats notifies for each heartbeat until the pipe closes.
func readHeartbeats(r *os.File, heartbeats wake.Signal) {
	var b [16]byte
	for {
		if _, err := r.Read(b[:]); err != nil {
			return
		}
		heartbeats.Notify()
	}
}

// end sends the child a signal that ends it, and kills it if it still runs after timeout. Upon
// SIGQUIT, Go's runtime writes to stderr what each goroutine does.
func end(cmd *exec.Cmd, signal os.Signal, ended <-chan error, timeout time.Duration) error {
	_ = cmd.Process.Signal(signal) // fails only if the child has just ended
	select {
	case err := <-ended:
		return err
	case <-time.After(timeout):
		_ = cmd.Process.Kill()
		return <-ended
	}
}
