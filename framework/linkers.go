package framework

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"tombolo/framework/app"
	"tombolo/framework/place"
	"tombolo/internal/wake"
	linker "tombolo/linker/api"
	"tombolo/linker/record"
)

// Linker is the API of the linker of one host. *linker/api.Client is all of them.
type Linker struct {
	Catalog  Catalog
	Recorder Recorder
	Logs     Logs
	Engine   Engine        // nil: the Engine cannot be asked
	Volumes  VolumeRemover // nil: the Engine removes none for the framework
}

// Catalog shows a linker's catalog.
type Catalog interface {
	// Watch calls fn with the catalog, at once and after each change, until ctx ends or
	// the linker cannot be reached.
	Watch(ctx context.Context, fn func(*record.Snapshot)) error
}

// Recorder takes app records. It returns an error that wraps linker/api.ErrStale if the
// linker has a newer record of the app.
type Recorder interface {
	PutApp(ctx context.Context, rec record.Record) error
	DeleteApp(ctx context.Context, tombstone record.Record) error
}

// Logs shows a container's output.
type Logs interface {
	Logs(ctx context.Context, container string, options linker.LogOptions, fn func(linker.LogLine) error) error
}

const (
	linkerTimeout  = 10 * time.Second       // of one delivery
	linkerRetry    = 500 * time.Millisecond // before a linker is tried again; it doubles
	linkerRetryMax = 5 * time.Second
)

// linkerEvents are what a connection tells the framework. It calls them on the
// framework's goroutine, through the queue.
type linkerEvents struct {
	queue   *wake.Queue[func()]
	catalog func(c *linkerConn, change catalogChange, cameUp bool) // there is a new catalog
	stale   func(rec record.Record)                                // the linker has a newer record than rec
	changed func()                                                 // the linker does not answer any more, or has another Engine
}

// linkerConn is the connection to one linker: catalogs come in, app records go out.
type linkerConn struct {
	name   string // of its host
	api    Linker
	events linkerEvents
	log    *slog.Logger

	// The framework's goroutine owns these.
	up        bool
	snapshot  *record.Snapshot            // the last catalog; nil: none yet
	endpoints map[string]*record.Endpoint // of snapshot, by task ID
	hosts     map[string]*record.Host     // of snapshot, by name
	shutOff   map[string]bool             // IDs of containers whose labels their linker cannot read
	engineAPI string                      // the newest version of the API of the host's Engine; "": not known

	latest   atomic.Pointer[record.Snapshot] // not taken by the framework yet
	outgoing *wake.Queue[record.Record]
}

func newLinkerConn(name string, l Linker, events linkerEvents, log *slog.Logger) *linkerConn {
	return &linkerConn{name: name, api: l, events: events, log: log, outgoing: wake.NewQueue[record.Record]()}
}

func (c *linkerConn) watch(ctx context.Context) {
	for retry := wake.NewBackoff(linkerRetry, linkerRetryMax); ; {
		asked := false
		err := c.api.Catalog.Watch(ctx, func(s *record.Snapshot) {
			retry.Reset()
			if !asked { // before the host counts as usable
				asked = true
				c.askVersion(ctx)
			}
			c.bring(s)
		})
		if ctx.Err() != nil {
			return
		}
		c.events.queue.Put(func() { c.lost(err) })
		if !retry.Wait(ctx) {
			return
		}
	}
}

// askVersion asks for the version of the host's Engine. Without an answer, the last one counts.
func (c *linkerConn) askVersion(ctx context.Context) {
	if c.api.Engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	v, err := c.api.Engine.Version(ctx)
	if err != nil {
		c.log.Debug("the version of an Engine is not known", "host", c.name, "err", err)
		return
	}
	c.events.queue.Put(func() {
		if c.engineAPI != v.API {
			c.engineAPI = v.API
			c.events.changed()
		}
	})
}

// bring leaves a catalog for the framework, which takes only the newest.
func (c *linkerConn) bring(s *record.Snapshot) {
	if c.latest.Swap(s) == nil {
		c.events.queue.Put(c.take)
	}
}

func (c *linkerConn) lost(err error) {
	if c.up {
		c.log.Warn("linker lost", "host", c.name, "err", err)
	}
	c.up = false
	c.events.changed()
}

// take makes the newest catalog the one that the framework sees.
func (c *linkerConn) take() {
	before := c.snapshot
	c.snapshot = c.latest.Swap(nil)
	c.endpoints, c.shutOff = map[string]*record.Endpoint{}, map[string]bool{}
	for _, e := range c.snapshot.Endpoints {
		switch {
		case e.Task != "":
			c.endpoints[e.Task] = e
		case isShutOff(e):
			c.shutOff[e.Container] = true
		}
	}
	change := compareCatalogs(before, c.snapshot)
	if change.hosts {
		c.hosts = c.snapshot.HostsByName()
	}
	cameUp := !c.up
	if cameUp {
		c.log.Info("linker found", "host", c.name)
		c.up = true
	}
	c.events.catalog(c, change, cameUp)
}

// deliver sends the outgoing records until ctx ends, of each app only the newest.
func (c *linkerConn) deliver(ctx context.Context) {
	waiting := map[string]record.Record{}
	for {
		if len(waiting) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-c.outgoing.Ready():
			}
		}
		for _, rec := range c.outgoing.Take() {
			waiting[rec.Name] = rec
		}
		for _, name := range slices.Sorted(maps.Keys(waiting)) {
			if c.send(ctx, waiting[name]) {
				delete(waiting, name)
			} else if !wake.Sleep(ctx, linkerRetry) {
				return
			}
		}
	}
}

// send reports whether the record needs no other attempt.
func (c *linkerConn) send(ctx context.Context, rec record.Record) bool {
	bounded, cancel := context.WithTimeout(ctx, linkerTimeout)
	defer cancel()
	send := c.api.Recorder.PutApp
	if rec.Deleted {
		send = c.api.Recorder.DeleteApp
	}
	err := send(bounded, rec)
	if errors.Is(err, linker.ErrStale) {
		c.events.queue.Put(func() { c.events.stale(rec) })
		return true
	}
	if err != nil && ctx.Err() == nil {
		c.log.Debug("app record not delivered", "app", rec.Name, "host", c.name, "err", err)
	}
	return err == nil
}

// recipients is how many linkers get a changed app record from the framework. They
// gossip it to the others.
const recipients = 3

// linkers are the connections to all linkers that the framework can reach, by host.
type linkers map[string]*linkerConn

// up returns the linkers that answer, ordered by host.
func (l linkers) up() (list []*linkerConn) {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if l[name].up {
			list = append(list, l[name])
		}
	}
	return list
}

// put sends a record to some of the linkers that answer.
func (l linkers) put(rec record.Record) {
	up := l.up()
	for _, c := range up[:min(len(up), recipients)] {
		c.outgoing.Put(rec)
	}
}

// first returns the first linker that answers, by host, or nil if none does.
func (l linkers) first() (first *linkerConn) {
	for _, c := range l {
		if c.up && (first == nil || c.name < first.name) {
			first = c
		}
	}
	return first
}

// catalog returns the catalog of the first linker that answers, or nil if none does.
func (l linkers) catalog() *record.Snapshot {
	if c := l.first(); c != nil {
		return c.snapshot
	}
	return nil
}

// hostRecord returns the record of a host, preferably from a linker that answers; nil if no
// linker has shown one yet.
func (l linkers) hostRecord(name string) (found *record.Host) {
	for _, c := range l {
		if h := c.hosts[name]; h != nil && (c.up || found == nil) {
			found = h
		}
	}
	return found
}

// problem says why a host can take no task now; "" if it can.
func (l linkers) problem(host string) string {
	switch c := l[host]; {
	case len(l) == 0 || c != nil && c.up:
		return ""
	case c != nil:
		return "linker of " + host + " is down"
	}
	for _, c := range l {
		if !c.up {
			continue
		}
		if h := c.hosts[host]; h != nil && !c.snapshot.Suspended[h.Key()] {
			return ""
		}
	}
	return "linker of " + host + " is not known"
}

// logs returns where the output of a host's containers can be read, or nil.
func (l linkers) logs(host string) Logs {
	if c := l[host]; c != nil && c.up {
		return c.api.Logs
	}
	return nil
}

// foreignPorts returns the host ports of the containers that are no tasks of ours. A host's own linker
// knows best; what hosts have whose linker does not answer to us, another linker's catalog tells.
func (l linkers) foreignPorts(tasks map[string]*task) (list []place.Taken) {
	for n, c := range l.up() {
		for _, e := range c.snapshot.Endpoints {
			host := c.snapshot.HostName(e.Host)
			told := host == c.name || n == 0 && (l[host] == nil || !l[host].up)
			if !told || tasks[e.Task] != nil || !e.Running {
				continue
			}
			holder := place.Taken{Host: host, Holder: "container " + e.Container, App: e.App, Service: e.Service}
			list = append(list, taken(hostPorts(e.Published), holder)...)
		}
	}
	return list
}

// taken returns holder with each of its ports.
func taken(ports []app.Port, holder place.Taken) (list []place.Taken) {
	for _, holder.Port = range ports {
		list = append(list, holder)
	}
	return list
}

func hostPorts(in []record.PublishedPort) (out []app.Port) {
	for _, p := range in {
		port := app.Port{Host: p.HostPort, Target: p.Port, Proto: p.Proto}
		if p.HostIP.IsValid() {
			port.HostIP = p.HostIP.String()
		}
		out = append(out, port)
	}
	return out
}
