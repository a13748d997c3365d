// Package privilege says when a command needs root, and why. It never acquires
// privileges itself.
package privilege

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// NeedRoot returns an error that carries the reason, unless this process runs as root.
func NeedRoot(reason string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("root is needed: %s (try with sudo)", reason)
}

// Explain turns a permission error about a file of root's into one that asks for sudo.
// It returns every other error as it is.
func Explain(err error, path string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("root is needed: %s belongs to root (try with sudo)", path)
	}
	return err
}
