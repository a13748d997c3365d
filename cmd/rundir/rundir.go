package rundir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Default is the run folder of every process that is not told otherwise.
const Default Dir = "/run/tombolo"

// Dir is the path of a run folder.
type Dir string

// At returns the run folder of the API at target, a path or unix:// URL of a socket.
func At(target string) Dir { return Dir(filepath.Dir(strings.TrimPrefix(target, "unix://"))) }

// API is the socket of the framework's API.
func (d Dir) API() string { return d.file("api.sock") }

// Master is the socket of the embedded master.
func (d Dir) Master() string { return d.file("master.sock") }

// Linker is the socket of the linker's API.
func (d Dir) Linker() string { return d.file("linker.sock") }

// LockFile is the file that the holder of the run folder locks.
func (d Dir) LockFile() string { return d.file("daemon.pid") }

func (d Dir) file(name string) string { return filepath.Join(string(d), name) }

// Remove removes the sockets and the lock file. The caller holds the lock; the lock
// file goes last, so that no daemon starts in the folder before.
func (d Dir) Remove() error {
	return remove(d.API(), d.Master(), d.Linker(), d.LockFile())
}

func remove(paths ...string) error {
	var errs []error
	for _, path := range paths {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
