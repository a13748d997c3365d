package framework

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
)

// PutApp implements api.Cluster. The last of several that come at once wins; the
// same App again changes nothing but that what has failed is tried at once.
func (f *Framework) PutApp(ctx context.Context, wanted app.App) (uint64, error) {
	if err := wanted.Validate(); err != nil {
		return 0, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return f.command(ctx, func() (uint64, error) {
		d := f.apps[wanted.Name]
		switch {
		case d != nil && d.Removing:
			return 0, fmt.Errorf("%w: %s is being removed; try again when it is gone", api.ErrConflict, wanted.Name)
		case d != nil && same(d.App.App, wanted):
			f.encourage(d)
		default:
			f.want(wanted)
		}
		return f.apps[wanted.Name].Revision, nil
	})
}

// DeleteApp implements api.Cluster. With volumes it forgets, once all is gone,
// where the app's own volumes are; whoever asks removes them from there.
func (f *Framework) DeleteApp(ctx context.Context, name string, volumes bool) error {
	_, err := f.command(ctx, func() (uint64, error) {
		d := f.apps[name]
		if d == nil {
			return 0, fmt.Errorf("app %q: %w", name, api.ErrNotFound)
		}
		if !d.Removing || volumes && !d.Volumes {
			f.Log.Info("removing app", "app", name, "volumes", volumes)
			d.Removing, d.Volumes = true, d.Volumes || volumes
			f.batch.PutApp(d.App)
		}
		return d.Revision, nil
	})
	return err
}

// command runs fn on the framework's goroutine and returns what it returns, once
// what it changed is durable.
func (f *Framework) command(ctx context.Context, fn func() (uint64, error)) (uint64, error) {
	type answer struct {
		revision uint64
		err      error
	}
	done := make(chan answer, 1) // of one: whoever asked may have gone
	f.inbox.put(func() {
		revision, err := fn()
		f.then(func() { done <- answer{revision, err} })
	})
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", api.ErrUnavailable, ctx.Err())
	case a := <-done:
		return a.revision, a.err
	}
}

func (f *Framework) want(wanted app.App) {
	f.revision++
	f.batch.SetRevision(f.revision)
	stored := store.App{App: wanted, Revision: f.revision, Put: time.Now()}
	f.batch.PutApp(stored)
	f.Log.Info("app wanted", "app", wanted.Name, "revision", f.revision)
	if d := f.apps[wanted.Name]; d != nil {
		d.App, d.specs = stored, deploy.Specs(wanted)
		f.encourage(d)
		return
	}
	f.apps[wanted.Name] = newDeployment(stored)
}

// encourage tries again at once what has failed: whoever puts an app again may
// have mended what was wrong outside of it.
func (f *Framework) encourage(d *deployment) {
	clear(d.stuck)
	for id, slot := range d.slots {
		if slot.Outcome == "" || d.plan.Wait[id].Kind == deploy.Complete {
			continue
		}
		slot.Outcome, slot.Failures, slot.Fatal = "", 0, false
		d.slots[id] = slot
		f.batch.PutSlot(slot)
	}
}

func same(a, b app.App) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
