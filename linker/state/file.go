package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrBroken says that a file held something that is no document of the wanted
// shape. The file was moved aside, to its name plus ".broken".
var ErrBroken = errors.New("unreadable state")

// Load reads the document at path into v. A missing file leaves v alone and is no
// error. A broken one is moved aside, so that the caller may start anew, and
// reported as ErrBroken; v is then undefined.
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

// Save replaces the document at path by v. It outlives the process at once; sync
// makes it outlive a power cut too, which costs milliseconds and is meant for
// what nobody else can tell us again. One Save of a path may run at a time.
func Save(path string, v any, sync bool) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("save state %s: %w", path, err)
	}
	next := path + ".new" // a fixed name: what a killed process left is written over
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
