package jsonfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrBroken says that a file does not hold what it should. It was moved aside, to
// its name plus ".broken", so that its owner may start anew.
var ErrBroken = errors.New("unreadable, moved aside")

func Load(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return MoveAside(path, err)
	}
	return nil
}

// MoveAside moves a file aside and says why.
func MoveAside(path string, why error) error {
	if err := os.Rename(path, path+".broken"); err != nil {
		return fmt.Errorf("read %s: %w", path, errors.Join(why, err))
	}
	return fmt.Errorf("read %s: %w: %w", path, ErrBroken, why)
}

// Replace replaces a file as a whole. Synced, it outlives a power failure: that
// is for what nobody else can tell us again.
func Replace(path string, v any, sync bool) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	temp := path + ".new"
	if err := write(temp, data, sync); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(temp, path)
}

func write(path string, data []byte, sync bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
