package secretfile

import (
	"fmt"
	"io"
	"os"
)

// maxSize is larger than any secret or list of keys.
const maxSize = 64 << 10

// Read returns the text of a file that only its owner can read.
func Read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s can be read by users other than its owner (chmod 600 %[1]s)", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(text) > maxSize {
		err = fmt.Errorf("%s is larger than %d KiB", path, maxSize>>10)
	}
	return string(text), err
}
