package overlay

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bpfLoad is the system call bpf(2) with BPF_PROG_LOAD. The kernel gives up with EAGAIN when a
// signal waits for the thread before the program is verified (do_check in kernel/bpf/verifier.c),
// and Go sends SIGURG to a thread to preempt its goroutine; so the thread's signals are blocked
// meanwhile.
func bpfLoad(attr unsafe.Pointer, size uintptr) (fd int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, fmt.Errorf("block signals: %w", err)
	}
	n, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(attr), size)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		panic(err) // the set was the thread's own
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
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
