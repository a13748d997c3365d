package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Backend holds keys and values durably.
type Backend interface {
	// Load calls fn with every key and its value, which fn must not keep.
	Load(fn func(key string, value []byte) error) error
	// Apply makes all writes or none. They are durable when it returns. A nil value
	// deletes the key.
	Apply(writes map[string][]byte) error
	Close() error
}

// Store keeps a State in a Backend. One goroutine uses it.
type Store struct{ backend Backend }

// New returns a store in backend.
func New(backend Backend) *Store { return &Store{backend} }

// Close closes the backend.
func (s *Store) Close() error { return s.backend.Close() }

// The first elements of keys.
const (
	keyFramework = "framework"
	keyEpoch     = "epoch"
	keyRevision  = "revision"
	keyFloors    = "floors"
	keyApps      = "apps"
	keyTasks     = "tasks"
	keySlots     = "slots"
	keyPins      = "pins"
)

// Load returns everything that is stored.
func (s *Store) Load() (*State, error) {
	state := &State{
		Apps: map[string]App{}, Tasks: map[string]Task{},
		Slots: map[SlotKey]Slot{}, Pins: map[string]string{}, Floors: map[string]uint64{},
	}
	err := s.backend.Load(func(key string, value []byte) error {
		if err := state.read(key, value); err != nil {
			return fmt.Errorf("key %s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load store: %w", err)
	}
	return state, nil
}

func (s *State) read(key string, value []byte) error {
	kind, rest, _ := strings.Cut(key, "/")
	switch kind {
	case keyFramework:
		return json.Unmarshal(value, &s.FrameworkID)
	case keyEpoch:
		return json.Unmarshal(value, &s.Epoch)
	case keyRevision:
		return json.Unmarshal(value, &s.Revision)
	case keyFloors:
		return into(s.Floors, rest, value)
	case keyApps:
		return into(s.Apps, rest, value)
	case keyTasks:
		return into(s.Tasks, rest, value)
	case keyPins:
		return into(s.Pins, rest, value)
	case keySlots:
		var slot Slot
		if err := json.Unmarshal(value, &slot); err != nil {
			return err
		}
		s.Slots[slot.Key()] = slot
		return nil
	}
	return errors.New("unknown kind of key: was the store written by a newer version?")
}

func into[T any](table map[string]T, name string, value []byte) error {
	var v T
	if err := json.Unmarshal(value, &v); err != nil {
		return err
	}
	table[name] = v
	return nil
}

// Batch collects changes. The zero Batch is empty and ready to use.
type Batch struct {
	writes map[string][]byte
	err    error
}

// Commit makes the batch durable and empties it. After an error nothing of the batch is
// stored, and the store must not be used any more.
func (s *Store) Commit(b *Batch) error {
	if b.err != nil {
		return fmt.Errorf("encode for store: %w", b.err)
	}
	if len(b.writes) == 0 {
		return nil
	}
	if err := s.backend.Apply(b.writes); err != nil {
		return fmt.Errorf("commit to store: %w", err)
	}
	*b = Batch{}
	return nil
}

// SetFrameworkID stores the framework ID.
func (b *Batch) SetFrameworkID(id string) { b.put(id, keyFramework) }

// SetEpoch stores the epoch of the app records.
func (b *Batch) SetEpoch(epoch uint64) { b.put(epoch, keyEpoch) }

// SetRevision stores the last revision given to an app.
func (b *Batch) SetRevision(revision uint64) { b.put(revision, keyRevision) }

// PutFloor stores the highest generation of an app's forgotten slots. It outlives the app,
// because no task ID may be used twice.
func (b *Batch) PutFloor(app string, floor uint64) { b.put(floor, keyFloors, app) }

// PutApp stores an app under its name.
func (b *Batch) PutApp(a App) { b.put(a, keyApps, a.Wanted.Name) }

// DeleteApp forgets an app.
func (b *Batch) DeleteApp(name string) { b.put(nil, keyApps, name) }

// PutTask stores a task under its ID.
func (b *Batch) PutTask(t Task) { b.put(t, keyTasks, t.ID) }

// DeleteTask forgets a task.
func (b *Batch) DeleteTask(id string) { b.put(nil, keyTasks, id) }

// PutSlot stores a slot.
func (b *Batch) PutSlot(s Slot) { b.put(s, slotPath(s.Key())...) }

// DeleteSlot forgets a slot.
func (b *Batch) DeleteSlot(key SlotKey) { b.put(nil, slotPath(key)...) }

// PutPin stores the host that holds a volume.
func (b *Batch) PutPin(volume, host string) { b.put(host, keyPins, volume) }

// DeletePin forgets where a volume is.
func (b *Batch) DeletePin(volume string) { b.put(nil, keyPins, volume) }

func slotPath(key SlotKey) []string {
	return []string{keySlots, key.App, key.Service, strconv.Itoa(key.Slot)}
}

func (b *Batch) put(value any, path ...string) {
	if b.writes == nil {
		b.writes = map[string][]byte{}
	}
	var raw []byte
	if value != nil {
		var err error
		if raw, err = json.Marshal(value); err != nil && b.err == nil {
			b.err = err
		}
	}
	b.writes[strings.Join(path, "/")] = raw
}
