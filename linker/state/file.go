package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
		return fmt.Errorf("%w: %s, moved to %s: %v", ErrBroken, path, aside, err)
	}
	return nil
}

// Save replaces the document at path by v. It outlives the process at once; sync
// makes it outlive a power cut too, which costs milliseconds and is meant for
// what nobody else can tell us again.
func Save(path string, v any, sync bool) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("save state %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new*")
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	defer os.Remove(tmp.Name()) // no file is left under this name after the rename
	_, err = tmp.Write(append(raw, '\n'))
	if err == nil && sync {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save state %s: %w", path, err)
	}
	return nil
}
