package supervise

import (
	"os"

	"golang.org/x/sys/unix"
)

// notify tells systemd the state of the service (sd_notify(3)), with rights to files, or
// nil. It does nothing in a process that systemd did not start as a service.
func notify(state string, rights []byte) {
	manager := os.Getenv("NOTIFY_SOCKET")
	if manager == "" {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return // the next heartbeat tries again
	}
	defer unix.Close(fd)
	// Errors do not matter: a manager that does not listen needs no news, and one that is
	// busy must not hold up the parent.
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1})
	_ = unix.Sendmsg(fd, []byte(state), rights, &unix.SockaddrUnix{Name: manager}, unix.MSG_NOSIGNAL)
}
