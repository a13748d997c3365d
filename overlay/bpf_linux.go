package overlay

import (
	"errors"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxLoads bounds the attempts to load a BPF program.
const maxLoads = 1000

// bpfLoad is the system call bpf(2) with BPF_PROG_LOAD. The kernel gives up with EAGAIN when the
// thread has got a signal before the program was verified (do_check in kernel/bpf/verifier.c), and
// Go sends SIGURG to a thread to preempt its goroutine; so it is repeated.
func bpfLoad(attr unsafe.Pointer, size uintptr) (fd int, err error) {
	err = unix.EAGAIN
	for i := 0; i < maxLoads && errors.Is(err, unix.EAGAIN); i++ {
		n, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(attr), size)
		if errno == 0 {
			return int(n), nil
		}
		err = errno
	}
	return 0, err
}

// untilSuccess returns a function that calls f until f has succeeded once, and returns that result
// from then on.
func untilSuccess[T any](f func() (T, error)) func() (T, error) {
	var mu sync.Mutex
	var done bool
	var result T
	return func() (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return result, nil
		}
		r, err := f()
		if err == nil {
			done, result = true, r
		}
		return r, err
	}
}
