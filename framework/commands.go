package framework

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// PutApp implements api.Cluster. Of several calls at once, the last wins. The same App
// again changes nothing, except that failed instances are tried again at once.
func (f *Framework) PutApp(ctx context.Context, wanted app.App) (uint64, error) {
	if err := wanted.Validate(); err != nil {
		return 0, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return f.command(ctx, func() (uint64, error) {
		d := f.model.apps[wanted.Name]
		switch {
		case d != nil && d.Removing:
			return 0, fmt.Errorf("%w: %s is being removed; try again when it is gone", api.ErrConflict, wanted.Name)
		case d != nil && same(d.Wanted, wanted):
			f.model.retryFailed(d, time.Now())
		default:
			if err := f.model.checkSize(wanted); err != nil {
				return 0, err
			}
			if err := f.model.checkIngress(wanted); err != nil {
				return 0, err
			}
			d = f.model.putApp(wanted, time.Now())
			f.config.Log.Info("app wanted", "app", wanted.Name, "revision", d.Revision)
		}
		return d.Revision, nil
	})
}

// RecreateVolumes implements api.Volumes.
func (f *Framework) RecreateVolumes(ctx context.Context, name string) error {
	_, err := f.command(ctx, func() (uint64, error) {
		d := f.model.apps[name]
		if d == nil {
			return 0, fmt.Errorf("app %q: %w", name, api.ErrNotFound)
		}
		f.model.recreateVolumes(d)
		return d.Revision, nil
	})
	return err
}

// DeleteApp implements api.Cluster. With volumes the framework forgets, once the app is
// gone, which hosts hold the app's own volumes. The caller removes them from there.
func (f *Framework) DeleteApp(ctx context.Context, name string, volumes bool) error {
	_, err := f.command(ctx, func() (uint64, error) {
		d := f.model.apps[name]
		if d == nil {
			return 0, fmt.Errorf("app %q: %w", name, api.ErrNotFound)
		}
		if !d.Removing || volumes && !d.ForgetVolumes {
			f.config.Log.Info("removing app", "app", name, "volumes", volumes)
			f.model.removeApp(d, volumes)
		}
		return d.Revision, nil
	})
	return err
}

// Snapshot implements api.Cluster.
func (f *Framework) Snapshot() (*api.Snapshot, <-chan struct{}) { return f.board.get() }

// command runs fn on the framework's goroutine and returns its results once the changes
// that it made are stored.
func (f *Framework) command(ctx context.Context, fn func() (uint64, error)) (uint64, error) {
	var revision uint64
	var err error
	stored := make(chan struct{})
	f.queue.Put(func() {
		revision, err = fn()
		f.out.then(func() { close(stored) })
	})
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", api.ErrUnavailable, ctx.Err())
	case <-stored:
		return revision, err
	}
}

// maxInstances bounds the instances of all apps together, so that the framework's memory and
// its start after a crash stay bounded.
const maxInstances = 100_000

// checkSize returns an error if the cluster would have too many instances with the app.
func (m *model) checkSize(wanted app.App) error {
	n := wanted.Instances()
	for _, d := range m.apps {
		if d.Wanted.Name != wanted.Name {
			n += d.Wanted.Instances()
		}
	}
	if n > maxInstances {
		return fmt.Errorf("%w: with this app the cluster would have %d instances, more than %d: lower the number of replicas, or remove an app", api.ErrConflict, n, maxInstances)
	}
	return nil
}

func same(a, b app.App) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
