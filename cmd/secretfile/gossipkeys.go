package secretfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

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
