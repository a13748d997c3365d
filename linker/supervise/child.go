package supervise

import (
	"context"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Supervised reports whether this process is the child of a Run.
func Supervised() bool { return os.Getenv(beatEnv) != "" }

// Files are those of the parent's Config, in a child's first call; later ones give
// files that share their descriptors, which the first caller may have closed.
func Files() []*os.File {
	n, err := strconv.Atoi(os.Getenv(beatEnv))
	if err != nil {
		return nil
	}
	var files []*os.File
	for i := range n {
		fd := beatFD + 1 + i
		syscall.CloseOnExec(fd) // not for the child's own children
		files = append(files, os.NewFile(uintptr(fd), "inherited"))
	}
	return files
}

// eager spaces the checks until one passes. Only from the first heartbeat on does
// the parent expect the next one soon: a child that gets stuck between its first
// answer and that heartbeat would be left alone for as long as a slow start is.
const eager = 50 * time.Millisecond

// Beat sends a heartbeat when check first passes, and then every interval that it
// passes, until ctx ends. In a process that is nobody's child it only waits.
func Beat(ctx context.Context, interval time.Duration, check func(context.Context) error) error {
	if !Supervised() {
		<-ctx.Done()
		return nil
	}
	syscall.CloseOnExec(beatFD)
	pipe := os.NewFile(beatFD, "heartbeat")
	defer pipe.Close()
	pace := min(eager, interval)
	for {
		within, cancel := context.WithTimeout(ctx, interval)
		err := check(within)
		cancel()
		if err == nil {
			// A parent that is gone is no reason to end: the kernel does that.
			_, _ = pipe.Write([]byte{1})
			pace = interval
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pace):
		}
	}
}
