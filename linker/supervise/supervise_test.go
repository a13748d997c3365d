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

// The test binary is its own child: roleEnv says what it does then, and fileEnv
// where it writes its process ID, one line for each life.
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
		_ = supervise.Beat(ctx, 20*time.Millisecond, func(context.Context) error { return errors.New("stuck") })
		return 0
	case role == "late": // it answers when it is asked for the second time
		asked := 0
		_ = supervise.Beat(ctx, time.Hour, func(context.Context) error {
			if asked++; asked == 1 {
				return errors.New("not yet")
			}
			return nil
		})
		return 0
	}
	_ = supervise.Beat(ctx, 20*time.Millisecond, func(context.Context) error { return nil })
	return 0
}

func read(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(raw)
}

// pids waits until the child has had n lives and gives their process IDs.
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
	t.Fatalf("no %d lives: %q", n, read(file))
	return nil
}

// start runs a child in a role; stop ends it and gives what Run returned.
func start(t *testing.T, role string) (file string, stop func() error) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "pids")
	t.Setenv(roleEnv, role)
	t.Setenv(fileEnv, file)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- supervise.Run(ctx, supervise.Config{
			Args: []string{os.Args[0]}, Start: 3 * time.Second, Patience: 500 * time.Millisecond,
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
		t.Errorf("the stopped child %d is still there: %v", first, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := syscall.Kill(second, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the child %d outlived Run: %v", second, err)
	}
}

func TestChildIsStartedAgain(t *testing.T) {
	for _, role := range []string{"crash", "mute"} {
		t.Run(role, func(t *testing.T) {
			file, stop := start(t, role)
			pids(t, file, 2)
			if err := stop(); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
	}
}

// A child is watched from its first answer on, and not one interval later.
func TestFirstHeartbeatDoesNotWait(t *testing.T) {
	heard := systemd(t)
	_, stop := start(t, "late")
	for heard() != "READY=1" { // the parent speaks for itself meanwhile
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// systemd listens in systemd's place and gives what is heard next.
func systemd(t *testing.T) (heard func() string) {
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

func TestSystemdIsTold(t *testing.T) {
	heard := systemd(t)
	_, stop := start(t, "work")
	for _, want := range []string{"READY=1", "WATCHDOG=1", "READY=1"} {
		for heard() != want {
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for heard() != "STOPPING=1" { // heartbeats that came before
	}
}

// A child that is mute is no reason for systemd to end its parent, which sees to it,
// and none to call the unit ready: that comes with the child's successor.
func TestSystemdHearsOfTheParent(t *testing.T) {
	heard := systemd(t)
	_, stop := start(t, "mute")
	if got := heard(); got != "WATCHDOG=1" {
		t.Errorf("heard %q", got)
	}
	for heard() != "READY=1" {
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// reason is why a child in the role "refuse" cannot work.
const reason = "linker: overlay: kernel has no vxlan support"

func TestRefusalEndsRun(t *testing.T) {
	t.Setenv(roleEnv, "refuse")
	t.Setenv(fileEnv, filepath.Join(t.TempDir(), "pids"))
	said, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	stderr := os.Stderr
	os.Stderr = said
	err = supervise.Run(t.Context(), supervise.Config{Args: []string{os.Args[0]}, Log: slog.New(slog.DiscardHandler)})
	os.Stderr = stderr
	if exit := (supervise.ExitError{}); !errors.As(err, &exit) || exit.Code != 1 {
		t.Errorf("Run = %v, want ExitError with code 1", err)
	}
	if got := read(said.Name()); got != reason+"\n" {
		t.Errorf("the child's words are %q", got)
	}
	if lives := strings.Count(read(os.Getenv(fileEnv)), "\n"); lives != 1 {
		t.Errorf("it was started %d times", lives)
	}
	goleak.VerifyNone(t)
}
