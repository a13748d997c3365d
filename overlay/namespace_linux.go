package overlay

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// inside runs f on a thread in the network namespace ns. The zero value means the namespace of
// the process.
func inside(ns netns.NsHandle, f func() error) error {
	if !ns.IsOpen() || ns == 0 {
		return f()
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("find network namespace of the thread: %w", err)
	}
	defer home.Close()
	if err := netns.Set(ns); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer func() {
		// If the thread cannot return to its namespace, it stays locked, and Go ends it
		// together with its goroutine.
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return f()
}
