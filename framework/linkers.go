package framework

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"tombolo/framework/deploy"
	linker "tombolo/linker/api"
	"tombolo/linker/record"
)

// watcher follows one linker: it brings its catalog in and app records out.
type watcher struct {
	name string
	Linker
	f *Framework

	// These belong to the framework's goroutine.
	up       bool
	snapshot *record.Snapshot            // the last seen
	tasks    map[string]*record.Endpoint // of snapshot, by task ID

	ready chan struct{} // of one: the queue is not empty

	mu     sync.Mutex
	latest *record.Snapshot         // not taken by the framework yet
	queue  map[string]record.Record // to hand out, by app
}

func newWatcher(name string, f *Framework) *watcher {
	return &watcher{
		name: name, Linker: f.Config.Linkers[name], f: f,
		ready: make(chan struct{}, 1), queue: map[string]record.Record{},
	}
}

// watch brings in the catalog until ctx ends.
func (w *watcher) watch(ctx context.Context) error {
	for pause := linkerWait; ; pause = min(2*pause, linkerMax) {
		err := w.Catalog.Watch(ctx, func(s *record.Snapshot) {
			pause = linkerWait
			w.bring(s)
		})
		if ctx.Err() != nil {
			return nil
		}
		w.f.inbox.put(func() { w.lost(err) })
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// bring leaves a snapshot for the framework, which takes the newest only.
func (w *watcher) bring(s *record.Snapshot) {
	w.mu.Lock()
	waiting := w.latest != nil
	w.latest = s
	w.mu.Unlock()
	if !waiting {
		w.f.inbox.put(w.seen)
	}
}

func (w *watcher) lost(err error) {
	if w.up {
		w.f.Log.Warn("linker lost", "host", w.name, "err", err)
	}
	w.up = false
}

// seen makes the newest snapshot count.
func (w *watcher) seen() {
	w.mu.Lock()
	w.snapshot, w.latest = w.latest, nil
	w.mu.Unlock()
	if w.snapshot == nil {
		return
	}
	w.tasks = map[string]*record.Endpoint{}
	for _, e := range w.snapshot.Endpoints {
		if e.Task != "" {
			w.tasks[e.Task] = e
		}
	}
	for name := range w.snapshot.Hosts {
		w.f.host(name)
	}
	for _, e := range w.snapshot.Endpoints {
		w.f.raiseFloor(e)
	}
	if !w.up {
		w.f.Log.Info("linker found", "host", w.name)
		w.up = true
		w.f.handAll(w)
	}
	w.f.sweep(w.snapshot)
}

// raiseFloor makes new slots start above a generation that is not ours, of a
// framework whose store was lost: names answer the highest one.
func (f *Framework) raiseFloor(e *record.Endpoint) {
	if e.App == "" || e.Generation == 0 {
		return
	}
	if d := f.apps[e.App]; d != nil && d.slots[deploy.SlotID{Service: e.Service, Slot: e.Slot}].Generation > 0 {
		return
	}
	f.raise(e.App, e.Generation)
}

// put queues a record for the linker; it replaces an older one of the same app.
func (w *watcher) put(rec record.Record) {
	w.mu.Lock()
	w.queue[rec.Name] = rec
	w.mu.Unlock()
	w.signal()
}

func (w *watcher) signal() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// hand hands records to the linker until ctx ends.
func (w *watcher) hand(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.ready:
		}
		w.mu.Lock()
		queue := w.queue
		w.queue = map[string]record.Record{}
		w.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(queue)) {
			if w.deliver(ctx, queue[name]) {
				continue
			}
			w.again(queue[name])
			if !sleep(ctx, linkerWait) {
				return nil
			}
		}
	}
}

// again queues a record that could not be delivered, unless a newer one is there.
func (w *watcher) again(rec record.Record) {
	w.mu.Lock()
	if _, newer := w.queue[rec.Name]; !newer {
		w.queue[rec.Name] = rec
	}
	w.mu.Unlock()
	w.signal()
}

func (w *watcher) deliver(ctx context.Context, rec record.Record) bool {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	give := w.Recorder.PutApp
	if rec.Deleted {
		give = w.Recorder.DeleteApp
	}
	err := give(bounded, rec)
	if errors.Is(err, linker.ErrStale) {
		w.f.inbox.put(func() { w.f.outdated(rec) })
		return true
	}
	if err != nil && ctx.Err() == nil {
		w.f.Log.Debug("app record not delivered", "app", rec.Name, "host", w.name, "err", err)
	}
	return err == nil
}

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// assess joins the tasks with what the catalogs say of them.
func (f *Framework) assess(now time.Time) {
	var up []*watcher
	for _, name := range slices.Sorted(maps.Keys(f.linkers)) {
		if w := f.linkers[name]; w.up {
			up = append(up, w)
		}
	}
	for _, t := range f.tasks {
		t.held = len(up) > 0
		var own, any *record.Endpoint
		for _, w := range up {
			e := w.tasks[t.ID]
			t.held = t.held && e != nil && e.Answering() && !w.snapshot.Suspended[e.Host]
			if any == nil {
				any = e
			}
			if w.name == t.Host {
				own = e
			}
		}
		if own != nil {
			any = own
		}
		if any != nil {
			t.endpoint = any
		}
		t.examine(any, now)
	}
}

// examine notes since when a task is unhealthy. Where no linker can tell, it is
// not: what is not known may not end anything.
func (t *task) examine(seen *record.Endpoint, now time.Time) {
	switch ill := seen != nil && seen.Running && seen.Health == record.HealthUnhealthy; {
	case !ill:
		t.ill = time.Time{}
	case t.ill.IsZero():
		t.ill = now
	}
}

// up reports whether a task does what it is there for: it runs, is healthy, and
// every linker that can be reached would tell a container where it is.
//
// Without a health check, to run for a moment says little: it has to last.
func (f *Framework) up(t *task, now time.Time) bool {
	if t.phase() != deploy.Running || !t.held && len(f.linkers) > 0 && !f.offNetwork(t) {
		return false
	}
	if t.endpoint != nil && t.endpoint.Health == record.HealthHealthy {
		return true
	}
	lasts := t.Started.Add(steady)
	if now.Before(lasts) {
		f.wakeAt(lasts)
		return false
	}
	return true
}

// offNetwork reports whether a task has no place on the overlay, and so none in
// the catalogs.
func (f *Framework) offNetwork(t *task) bool {
	d := f.apps[t.App]
	return d != nil && d.App.App.Services[t.Service].NetworkMode != ""
}

// problem says why a host takes nothing now, or nothing.
func (f *Framework) problem(h *host) string {
	if len(f.linkers) == 0 {
		return ""
	}
	if w := f.linkers[h.name]; w != nil {
		if w.up {
			return ""
		}
		return "linker of " + h.name + " is down"
	}
	for _, w := range f.linkers {
		if w.up && w.snapshot.Hosts[h.name] != nil && !w.snapshot.Suspended[h.name] {
			return ""
		}
	}
	return "linker of " + h.name + " is not known"
}
