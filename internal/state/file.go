package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// ErrBroken is returned for a file that could not be decoded. Load has renamed that
// file to its name plus ".broken".
var ErrBroken = errors.New("unreadable state")

// Load reads the document at path into v. If the file does not exist, Load leaves v
// alone and returns nil. If the file cannot be decoded, Load renames it, so that the
// caller can start anew, and returns ErrBroken; v then has no defined value.
func Load(path string, v any) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load state: %w", err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		aside := path + ".broken"
		if mv := os.Rename(path, aside); mv != nil {
			return fmt.Errorf("load state %s: %w", path, mv)
		}
		return fmt.Errorf("%w: %s, moved to %s: %w", ErrBroken, path, aside, err)
	}
	return nil
}

// LoadOrReset is Load for a caller that can start anew. It logs a file that cannot be
// decoded, with the message lost, and sets v to its zero value.
func LoadOrReset[T any](path string, v *T, log *slog.Logger, lost string) error {
	err := Load(path, v)
	if errors.Is(err, ErrBroken) {
		log.Warn(lost, "err", err)
		*v = *new(T)
		return nil
	}
	return err
}

// Save replaces the document at path by v, and makes its folder, mode 0700, where that is
// missing. With sync, the document also survives a power failure; that costs milliseconds
// and is meant for state that cannot be learned again from elsewhere. Only one Save of a
// path may run at a time.
func Save(path string, v any, sync bool) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("save state %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save state %s: %w", path, err)
	}
	next := path + ".new" // a fixed name, so that a file that a killed process left is overwritten
	err = write(next, append(raw, '\n'), sync)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next) // it may not be there
		return fmt.Errorf("save state %s: %w", path, err)
	}
	return nil
}

func write(path string, raw []byte, sync bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
