package supervise

import (
	"context"
	"os"
	"strconv"
	"syscall"
	"time"

	"tombolo/internal/wake"
)

// Supervised reports whether this process is the child of a Run.
func Supervised() bool { return os.Getenv(childEnv) != "" }

// InheritedFiles returns the Files of the parent's Config to its child. It may be called
// once: files of a second call would share their descriptors with the first.
func InheritedFiles() []*os.File {
	n, err := strconv.Atoi(os.Getenv(childEnv))
	if err != nil {
		return nil
	}
	var files []*os.File
	for i := range n {
		fd := heartbeatFD + 1 + i
		syscall.CloseOnExec(fd) // the child's own children do not get it
		files = append(files, os.NewFile(uintptr(fd), "inherited"))
	}
	return files
}

// firstCheckEvery is the pause between the checks until one passes. It is short because
// the parent watches the child from its first heartbeat on: a child that got stuck
// before that would have the whole StartTimeout.
const firstCheckEvery = 50 * time.Millisecond

// SendHeartbeats sends a heartbeat to the parent when check first passes, and after each
// interval in which check passes, until ctx ends. A process without a parent only waits.
func SendHeartbeats(ctx context.Context, interval time.Duration, check func(context.Context) error) error {
	if !Supervised() {
		<-ctx.Done()
		return nil
	}
	syscall.CloseOnExec(heartbeatFD)
	pipe := os.NewFile(heartbeatFD, "heartbeat")
	defer pipe.Close()
	pause := min(firstCheckEvery, interval)
	for {
		checking, cancel := context.WithTimeout(ctx, interval)
		err := check(checking)
		cancel()
		if err == nil {
			_, _ = pipe.Write([]byte{1}) // it fails if the parent is gone, and then the kernel kills this process
			pause = interval
		}
		if !wake.Sleep(ctx, pause) {
			return nil
		}
	}
}
