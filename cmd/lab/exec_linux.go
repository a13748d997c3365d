package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Exec runs a command that Host.Command has prepared, and passes signals on to it until it
// ends. nsenter alone does not: the command is its child, in other namespaces, and would run on
// after it. Exec returns the command's exit status, which is 128 and the number of the signal
// if a signal has ended it.
func Exec(c *exec.Cmd, signals <-chan os.Signal) (status int, err error) {
	if err := c.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case s := <-signals:
			if number, ok := s.(syscall.Signal); ok {
				passOn(c.Process.Pid, number)
			}
		case err := <-ended:
			return exitStatus(err)
		}
	}
}

// passOn sends a signal to the child of nsenter, which may need a moment to start it. If there
// is none, nsenter itself gets the signal.
func passOn(nsenter int, s syscall.Signal) {
	for range 50 {
		if pid, found := childOf(nsenter); found {
			_ = syscall.Kill(pid, s) // it may have ended
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	_ = syscall.Kill(nsenter, s)
}

func childOf(pid int) (child int, found bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	child, err = strconv.Atoi(first)
	return child, err == nil
}

func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal()), nil
	}
	return exit.ExitCode(), nil
}
