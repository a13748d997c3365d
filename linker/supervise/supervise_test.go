package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombolo/linker/supervise"
)

// The test binary starts itself as the child: roleEnv says what the child does, and
// fileEnv names the file to which each child appends its process ID.
const (
	roleEnv = "SUPERVISE_TEST_ROLE"
	fileEnv = "SUPERVISE_TEST_FILE"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); {
	case role == "successor":
		os.Exit(successor())
	case role != "" && supervise.Supervised():
		os.Exit(child(role))
	}
	os.Exit(m.Run())
}

func child(role string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	f, err := os.OpenFile(os.Getenv(fileEnv), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 3
	}
	fmt.Fprintln(f, os.Getpid())
	lives := strings.Count(read(os.Getenv(fileEnv)), "\n")
	switch {
	case role == "refuse":
		fmt.Fprintln(os.Stderr, reason)
		return 1
	case role == "crash" && lives == 1:
		return 2
	case role == "mute" && lives == 1:
		_ = supervise.SendHeartbeats(ctx, 20*time.Millisecond, func(context.Context) error { return errors.New("stuck") })
		return 0
	case role == "late": // its second check is the first that passes
		checks := 0
		_ = supervise.SendHeartbeats(ctx, time.Hour, func(context.Context) error {
			if checks++; checks == 1 {
				return errors.New("not yet")
			}
			return nil
		})
		return 0
	}
	_ = supervise.SendHeartbeats(ctx, 20*time.Millisecond, func(context.Context) error { return nil })
	return 0
}

func read(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(raw)
}

// pids waits until n children have been started and returns the process IDs.
func pids(t *testing.T, file string, n int) []int {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		lines := strings.Fields(read(file))
		if len(lines) >= n {
			var out []int
			for _, l := range lines {
				pid, err := strconv.Atoi(l)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, pid)
			}
			return out
		}
		time.Sleep(5 * time.Millisecond) // another process writes the file
	}
	t.Fatalf("want %d children started, got the process IDs %q", n, read(file))
	return nil
}

// start runs a child in a role; stop ends it and returns the error of Run.
func start(t *testing.T, role string) (file string, stop func() error) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "pids")
	t.Setenv(roleEnv, role)
	t.Setenv(fileEnv, file)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- supervise.Run(ctx, supervise.Config{
			Args: []string{os.Args[0]}, StartTimeout: 3 * time.Second, HeartbeatTimeout: 500 * time.Millisecond,
			Log: slog.New(slog.DiscardHandler),
		})
	}()
	return file, func() error {
		cancel()
		err := <-done
		goleak.VerifyNone(t)
		return err
	}
}

func TestStoppedChildIsReplaced(t *testing.T) {
	file, stop := start(t, "work")
	first := pids(t, file, 1)[0]
	if err := syscall.Kill(first, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	second := pids(t, file, 2)[1]
	if err := syscall.Kill(first, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the stopped child %d still exists (%v), want it killed", first, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run returned %v, want nil", err)
	}
	if err := syscall.Kill(second, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the child %d still exists after Run (%v)", second, err)
	}
}

func TestChildIsRestarted(t *testing.T) {
	for _, role := range []string{"crash", "mute"} {
		t.Run(role, func(t *testing.T) {
			file, stop := start(t, role)
			pids(t, file, 2)
			if err := stop(); err != nil {
				t.Errorf("Run returned %v, want nil", err)
			}
		})
	}
}

// Of a child that does not answer, the log shows what each goroutine did.
func TestAStuckChildShowsItsGoroutines(t *testing.T) {
	stderrFile, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderrFile.Close()
	stderr := os.Stderr
	os.Stderr = stderrFile
	file, stop := start(t, "mute")
	pids(t, file, 2)
	if err := stop(); err != nil {
		t.Errorf("Run returned %v, want nil", err)
	}
	os.Stderr = stderr
	if got := read(stderrFile.Name()); !strings.Contains(got, "SIGQUIT") || !strings.Contains(got, "supervise.SendHeartbeats") {
		t.Errorf("the child printed %q, want its goroutines", got)
	}
}

// The first heartbeat follows the first check that passes, not one interval later.
func TestFirstHeartbeatDoesNotWait(t *testing.T) {
	next := systemd(t)
	_, stop := start(t, "late")
	for next() != "READY=1" { // the parent sends WATCHDOG=1 meanwhile
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// systemd receives in place of systemd; next returns the next message.
func systemd(t *testing.T) (next func() string) {
	t.Helper()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
	return func() string {
		if err := manager.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var b [100]byte
		n, err := manager.Read(b[:])
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestSystemdIsNotified(t *testing.T) {
	next := systemd(t)
	_, stop := start(t, "work")
	for _, want := range []string{"READY=1", "WATCHDOG=1", "READY=1"} {
		for next() != want {
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for next() != "STOPPING=1" { // skips earlier messages
	}
}

// While the child sends no heartbeat, systemd must neither end the parent, which will
// replace the child, nor take the unit for ready.
func TestSystemdWatchesTheParent(t *testing.T) {
	next := systemd(t)
	_, stop := start(t, "mute")
	if got := next(); got != "WATCHDOG=1" {
		t.Errorf("the first message is %q, want WATCHDOG=1", got)
	}
	for next() != "READY=1" {
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// reason is printed by a child in the role "refuse", which cannot work.
const reason = "linker: overlay: kernel has no vxlan support"

func TestExitCode1EndsRun(t *testing.T) {
	t.Setenv(roleEnv, "refuse")
	t.Setenv(fileEnv, filepath.Join(t.TempDir(), "pids"))
	stderrFile, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderrFile.Close()
	stderr := os.Stderr
	os.Stderr = stderrFile
	err = supervise.Run(t.Context(), supervise.Config{Args: []string{os.Args[0]}, Log: slog.New(slog.DiscardHandler)})
	os.Stderr = stderr
	if exit := (supervise.ExitError{}); !errors.As(err, &exit) || exit.Code != 1 {
		t.Errorf("Run returned %v, want ExitError with code 1", err)
	}
	if got := read(stderrFile.Name()); got != reason+"\n" {
		t.Errorf("the child printed %q, want its reason", got)
	}
	if lives := strings.Count(read(os.Getenv(fileEnv)), "\n"); lives != 1 {
		t.Errorf("the child was started %d times, want once", lives)
	}
	goleak.VerifyNone(t)
}
