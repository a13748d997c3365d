package framework

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
)

// PutApp implements api.Cluster. The last of several that come at once wins; the
// same App again changes nothing but that what has failed is tried at once.
func (f *Framework) PutApp(ctx context.Context, wanted app.App) (uint64, error) {
	if err := check(wanted); err != nil {
		return 0, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	var revision uint64
	err := f.command(ctx, func() error {
		d := f.apps[wanted.Name]
		switch {
		case d != nil && d.Removing:
			return fmt.Errorf("%w: %s is being removed; try again when it is gone", api.ErrConflict, wanted.Name)
		case d != nil && same(d.App.App, wanted):
			f.encourage(d)
		default:
			f.want(wanted)
		}
		revision = f.apps[wanted.Name].Revision
		return nil
	})
	return revision, err
}

// DeleteApp implements api.Cluster.
func (f *Framework) DeleteApp(ctx context.Context, name string, volumes bool) error {
	return f.command(ctx, func() error {
		d := f.apps[name]
		switch {
		case d == nil:
			return fmt.Errorf("app %q: %w", name, api.ErrNotFound)
		case volumes:
			if kept := f.kept(d); len(kept) > 0 {
				return fmt.Errorf("%w: volumes are not removed from here: first down without volumes, then on each host: %s",
					api.ErrInvalid, strings.Join(kept, "; "))
			}
		}
		if !d.Removing {
			f.Log.Info("removing app", "app", name)
			d.Removing = true
			f.batch.PutApp(d.App)
		}
		return nil
	})
}

// kept says how the volumes of an app are removed by hand.
func (f *Framework) kept(d *deployment) (commands []string) {
	for _, v := range d.App.App.Volumes {
		if host := f.pins[v.Name]; host != "" && !v.External {
			commands = append(commands, fmt.Sprintf("docker volume rm %s on %s", v.Name, host))
		}
	}
	return commands
}

// command runs fn on the framework's goroutine and returns its error once what it
// changed is durable.
func (f *Framework) command(ctx context.Context, fn func() error) error {
	done := make(chan error, 1) // of one: whoever asked may have gone
	f.inbox.put(func() {
		err := fn()
		f.then(func() { done <- err })
	})
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", api.ErrUnavailable, ctx.Err())
	case err := <-done:
		return err
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
		clear(d.stuck)
		return
	}
	f.apps[wanted.Name] = newDeployment(stored)
}

// encourage tries again at once what has failed: whoever puts the same app again
// may have mended what was wrong outside of it.
func (f *Framework) encourage(d *deployment) {
	clear(d.stuck)
	for id, slot := range d.slots {
		if phase := deploy.Phase(slot.Outcome); phase == deploy.Finished && slot.Failures == 0 || slot.Outcome == "" {
			continue
		}
		if f.apps[d.App.App.Name].plan.Wait[id].Kind == deploy.Complete {
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
