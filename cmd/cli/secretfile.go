package cli

import (
	"fmt"
	"io"
	"os"
)

// maxSecretFile is more than any secret, or any list of keys, is long.
const maxSecretFile = 64 << 10

// readSecret reads a file that has to be its owner's alone.
func readSecret(path string) (string, error) {
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
		return "", fmt.Errorf("%s is no file", path)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s can be read by others than its owner (chmod 600 %[1]s)", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(text) > maxSecretFile {
		err = fmt.Errorf("%s is larger than %d KiB", path, maxSecretFile>>10)
	}
	return string(text), err
}
