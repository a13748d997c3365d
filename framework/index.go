package framework

import (
	"cmp"
	"slices"
	"time"
)

// index finds tasks without a walk over all of them.
type index struct {
	apps    map[string]map[string]*task // app -> ID -> task
	onHost  map[string]int              // host -> number of its tasks
	killing map[string]*task            // by ID: the framework has asked for their end
}

func newIndex() index {
	return index{apps: map[string]map[string]*task{}, onHost: map[string]int{}, killing: map[string]*task{}}
}

func (x *index) add(t *task) {
	if x.apps[t.App] == nil {
		x.apps[t.App] = map[string]*task{}
	}
	x.apps[t.App][t.ID] = t
	x.onHost[t.Host]++
	if t.Killing {
		x.killing[t.ID] = t
	}
}

func (x *index) remove(t *task) {
	delete(x.apps[t.App], t.ID)
	if len(x.apps[t.App]) == 0 {
		delete(x.apps, t.App)
	}
	if x.onHost[t.Host]--; x.onHost[t.Host] == 0 {
		delete(x.onHost, t.Host)
	}
	delete(x.killing, t.ID)
}

// dirty says what has changed since the last decision, which looks at nothing else.
type dirty struct {
	apps   map[string]bool
	all    bool // every app: a subscription, a catalog or a host has changed
	agents bool // a host has another agent
	market bool // an instance that fits nowhere may fit now, or offers may not be needed any more
}

// touch marks an app: the next decision is about it.
func (m *model) touch(app string) {
	if m.dirty.apps == nil {
		m.dirty.apps = map[string]bool{}
	}
	m.dirty.apps[app] = true
}

// touchAll marks everything.
func (m *model) touchAll() { m.dirty.all, m.dirty.market = true, true }

func (m *model) addTask(t *task) {
	m.tasks[t.ID] = t
	m.index.add(t)
	m.touch(t.App)
}

// due returns the apps that are marked or whose time has come, ordered by name, and takes the
// marks away.
func (m *model) due(now time.Time) (list []*deployment) {
	for name, d := range m.apps {
		if m.dirty.all || m.dirty.apps[name] || !d.wake.IsZero() && !now.Before(d.wake) {
			d.wake = time.Time{}
			list = append(list, d)
		}
	}
	m.dirty.apps, m.dirty.all = nil, false
	slices.SortFunc(list, func(a, b *deployment) int { return cmp.Compare(a.Wanted.Name, b.Wanted.Name) })
	return list
}

// wakeAt asks for a decision about the app at t at the latest. A zero t asks for nothing.
func (d *deployment) wakeAt(t time.Time) {
	if !t.IsZero() && (d.wake.IsZero() || t.Before(d.wake)) {
		d.wake = t
	}
}

// tasksOf returns the tasks of an app, ordered by ID.
func (m *model) tasksOf(app string) []*task { return sorted(m.index.apps[app]) }
