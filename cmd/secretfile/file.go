// Package secretfile reads files that hold secrets: a password, or the keys of gossip.
// It refuses a file that users other than its owner can read, and no error of it
// repeats what a file says.
package secretfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
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

// GossipKeys reads the AES keys that encrypt gossip: one a line, 16, 24 or 32 bytes in
// hexadecimal or base64. Empty lines and lines that start with # do not count.
func GossipKeys(path string) ([][]byte, error) {
	text, err := Read(path)
	if err != nil {
		return nil, err
	}
	keys, err := parseGossipKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// parseGossipKeys reports every line that holds no key, by its number.
func parseGossipKeys(text string) ([][]byte, error) {
	var keys [][]byte
	var errs []error
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseGossipKey(line)
		if err == nil && slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			err = errors.New("repeats a key of an earlier line")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n+1, err))
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		errs = append(errs, errors.New("holds no key"))
	}
	return keys, errors.Join(errs...)
}

// parseGossipKey prefers hexadecimal: every hexadecimal text of a key's length is
// base64 too.
func parseGossipKey(line string) ([]byte, error) {
	key, err := hex.DecodeString(line)
	if err != nil {
		if key, err = base64.StdEncoding.Strict().DecodeString(line); err != nil {
			return nil, errors.New("is neither base64 nor hexadecimal")
		}
	}
	switch len(key) {
	case 16, 24, 32:
		return key, nil
	}
	return nil, fmt.Errorf("a key of %d bytes: want 16, 24 or 32", len(key))
}
