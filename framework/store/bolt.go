package store

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

var bucket = []byte("tombolo")

// lockWait is how long OpenBolt waits for another process that has the file open, because
// a framework may start a little before the one that it replaces has ended.
const lockWait = 5 * time.Second

// OpenBolt opens the file at path, which it creates if necessary, and locks it until Close.
// It returns an error if another process keeps the lock for more than lockWait.
func OpenBolt(path string) (Backend, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		_ = db.Close() // the error of Update says more
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return &bolt{db}, nil
}

type bolt struct{ db *bbolt.DB }

func (b *bolt) Load(fn func(string, []byte) error) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(key, value []byte) error {
			return fn(string(key), value)
		})
	})
}

func (b *bolt) Apply(writes map[string][]byte) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		table := tx.Bucket(bucket)
		for key, value := range writes {
			var err error
			if value == nil {
				err = table.Delete([]byte(key))
			} else {
				err = table.Put([]byte(key), value)
			}
			if err != nil {
				return fmt.Errorf("key %s: %w", key, err)
			}
		}
		return nil
	})
}

func (b *bolt) Close() error { return b.db.Close() }
