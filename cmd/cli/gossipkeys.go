package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// readGossipKeys reads the AES keys of gossip, one a line. Whoever may read the file
// may read and write what linkers tell each other.
func readGossipKeys(path string) ([][]byte, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	keys, err := parseGossipKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// parseGossipKeys reports every line that holds no key, by number: never what it says.
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
			err = errors.New("the key is there already")
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

// parseGossipKey reads hexadecimal digits or, where there is anything else, base64.
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
