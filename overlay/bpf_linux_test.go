package overlay

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// On a busy machine, Go's own signals reach the thread that loads a BPF program.
func TestSignalsDoNotKeepAProgramFromLoading(t *testing.T) {
	newNamespace(t) // skips the test without root
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, stop := unix.Gettid(), make(chan struct{})
	defer close(stop)
	for range 2 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG) // the one that Go sends
				}
			}
		}()
	}
	for i := range 5000 {
		fd, err := loadProgram(directions[i%2].program)
		if err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		unix.Close(fd)
	}
}

// A failure is not remembered: the linker runs for months.
func TestUntilSuccess(t *testing.T) {
	calls := 0
	f := untilSuccess(func() (int, error) {
		if calls++; calls < 3 {
			return 0, errors.New("not yet")
		}
		return calls, nil
	})
	for i, want := range []int{0, 0, 3, 3} {
		if got, err := f(); got != want || (err == nil) != (want != 0) {
			t.Errorf("call %d returned %d, error %v; want %d", i, got, err, want)
		}
	}
}
