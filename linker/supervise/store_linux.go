package supervise

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// firstStored is the descriptor from which systemd's own begin (sd_listen_fds(3)).
const firstStored = 3

// Kept has systemd, where it started this process and its unit has a
// FileDescriptorStoreMax=, keep files over this process' own death: what open gives,
// which is handed those that were kept of an earlier run, or none. It is called
// once, before anything else may open files or start processes.
func Kept(name string, open func(kept []*os.File) ([]*os.File, error)) ([]*os.File, error) {
	files, err := open(stored(name))
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	tell("FDSTORE=1\nFDNAME="+name, unix.UnixRights(fds...)) // what it has already, it does not keep twice
	return files, nil
}

// stored are the files that systemd passes to this process under a name.
func stored(name string) []*os.File {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(v) // not for the child
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
