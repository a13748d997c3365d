package supervise

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// firstStored is the first of the descriptors that systemd passes (sd_listen_fds(3)).
const firstStored = 3

// KeepFiles asks systemd to keep files open after this process has ended. It calls open
// with the files that systemd kept under name for an earlier run, if any; open returns
// the files to keep now. Without systemd, or without FileDescriptorStoreMax= in the unit,
// nothing is kept, and the files work too. It must be called once, before
// anything else opens files or starts processes.
func KeepFiles(name string, open func(kept []*os.File) ([]*os.File, error)) ([]*os.File, error) {
	files, err := open(stored(name))
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	notify("FDSTORE=1\nFDNAME="+name, unix.UnixRights(fds...)) // systemd does not keep a file twice
	return files, nil
}

// stored returns the files that systemd passes to this process under name.
func stored(name string) []*os.File {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(v) // the child must not see them
	}
	n, err := strconv.Atoi(count)
	if err != nil || pid != strconv.Itoa(os.Getpid()) {
		return nil
	}
	var files []*os.File
	for i := range min(n, len(names)) {
		fd := firstStored + i
		syscall.CloseOnExec(fd)
		if names[i] == name {
			files = append(files, os.NewFile(uintptr(fd), name))
		}
	}
	return files
}

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
