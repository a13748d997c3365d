package framework

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"tombolo/framework/app"
)

// index finds tasks and apps without a walk over all of them.
type index struct {
	apps    map[string]map[string]*task // app -> ID -> task
	ordered map[string][]*task          // app -> its tasks by ID, as far as they were asked for since they changed
	onHost  map[string]int              // host -> number of its tasks
	killing map[string]*task            // by ID: the framework has asked for their end
	global  map[string]bool             // apps with a service that runs on every host
	linking map[string]bool             // apps with a link to another app
}

func newIndex() index {
	return index{apps: map[string]map[string]*task{}, ordered: map[string][]*task{}, onHost: map[string]int{}, killing: map[string]*task{}, global: map[string]bool{}, linking: map[string]bool{}}
}

// put notes what an app wants.
func (x *index) put(wanted app.App) {
	x.drop(wanted.Name)
	for _, s := range wanted.Services {
		if s.Global {
			x.global[wanted.Name] = true
		}
		if slices.ContainsFunc(s.Links, func(l app.Link) bool { return l.App != "" && l.App != wanted.Name }) {
			x.linking[wanted.Name] = true
		}
	}
}

func (x *index) drop(app string) {
	delete(x.global, app)
	delete(x.linking, app)
}

func (x *index) add(t *task) {
	if x.apps[t.App] == nil {
		x.apps[t.App] = map[string]*task{}
	}
	x.apps[t.App][t.ID] = t
	delete(x.ordered, t.App)
	x.onHost[t.Host]++
	if t.Killing {
		x.killing[t.ID] = t
	}
}

func (x *index) remove(t *task) {
	delete(x.apps[t.App], t.ID)
	delete(x.ordered, t.App)
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

	// The reporter takes these two away.
	hosts    map[string]bool // hosts that may be shown otherwise
	allHosts bool
}

// touch marks an app: the next decision is about it.
func (m *model) touch(app string) {
	if m.dirty.apps == nil {
		m.dirty.apps = map[string]bool{}
	}
	m.dirty.apps[app] = true
}

// touchHost marks a host that may be shown otherwise.
func (m *model) touchHost(name string) {
	if m.dirty.hosts == nil {
		m.dirty.hosts = map[string]bool{}
	}
	m.dirty.hosts[name] = true
}

// touchAll marks everything.
func (m *model) touchAll() { m.dirty.all, m.dirty.allHosts, m.dirty.market = true, true, true }

func (m *model) addTask(t *task) {
	m.tasks[t.ID] = t
	m.index.add(t)
	m.touch(t.App)
	m.touchHost(t.Host)
}

// due returns the apps that are marked or whose time has come, ordered by name, and takes the
// marks away.
func (m *model) due(now time.Time) (list []*deployment) {
	names := m.dirty.apps
	if m.dirty.all {
		names = map[string]bool{}
		for name := range m.apps {
			names[name] = true
		}
	}
	for t := m.sleepers.next(); !t.IsZero() && !now.Before(t); t = m.sleepers.next() {
		d := m.sleepers[0]
		m.stopWaking(d)
		if !names[d.Wanted.Name] {
			list = append(list, d)
		}
	}
	for name := range names {
		if d := m.apps[name]; d != nil {
			m.stopWaking(d)
			list = append(list, d)
		}
	}
	m.dirty.apps, m.dirty.all = nil, false
	slices.SortFunc(list, func(a, b *deployment) int { return cmp.Compare(a.Wanted.Name, b.Wanted.Name) })
	return list
}

// sleepers are the apps for which a decision is needed at a time, even if nothing happens: a
// heap with the earliest first.
type sleepers []*deployment

// next returns when the next decision is needed; zero: never.
func (s sleepers) next() time.Time {
	if len(s) == 0 {
		return time.Time{}
	}
	return s[0].wake
}

func (s sleepers) Len() int           { return len(s) }
func (s sleepers) Less(i, j int) bool { return s[i].wake.Before(s[j].wake) }

func (s sleepers) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].sleeper, s[j].sleeper = i, j
}

func (s *sleepers) Push(d any) {
	d.(*deployment).sleeper = len(*s)
	*s = append(*s, d.(*deployment))
}

func (s *sleepers) Pop() any {
	last := len(*s) - 1
	d := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return d
}

// wakeAt asks for a decision about an app at t at the latest. A zero t asks for nothing.
func (m *model) wakeAt(d *deployment, t time.Time) {
	switch {
	case t.IsZero():
	case d.wake.IsZero():
		d.wake = t
		heap.Push(&m.sleepers, d)
	case t.Before(d.wake):
		d.wake = t
		heap.Fix(&m.sleepers, d.sleeper)
	}
}

// stopWaking asks for no decision about an app at any time.
func (m *model) stopWaking(d *deployment) {
	if !d.wake.IsZero() {
		heap.Remove(&m.sleepers, d.sleeper)
		d.wake = time.Time{}
	}
}

// tasksOf returns the tasks of an app, ordered by ID. Nobody may change the list.
func (m *model) tasksOf(app string) []*task {
	list, known := m.index.ordered[app]
	if !known && len(m.index.apps[app]) > 0 {
		list = sorted(m.index.apps[app])
		m.index.ordered[app] = list
	}
	return list
}
