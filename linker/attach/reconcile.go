package attach

import (
	"context"
	"maps"
	"net/netip"
	"time"

	"tombolo/linker/record"
)

// Grace is how long Docker must not have known an endpoint before it is removed. An
// endpoint that is being made appears in Docker's own tables last.
const Grace = 30 * time.Second

// DockerEndpoint is an endpoint that Docker knows.
type DockerEndpoint struct {
	ID        string
	Addr4     netip.Addr
	MAC       string
	Published []record.PublishedPort
	Sandbox   string // path of the container's network namespace; "" while it is not known
}

// absences notes which endpoints Docker does not know.
type absences struct {
	missing map[string]time.Time // since when Docker has not known an endpoint of the table
	deleted map[string]time.Time // when an endpoint was deleted; forgotten after Grace
}

// Reconcile makes the table match what Docker has now. It adopts endpoints that only
// Docker knows, and deletes those that Docker has not known for Grace, with their
// interfaces and addresses. Call it from time to time: when Docker crashes, its calls to
// remove endpoints are lost.
func (t *Table) Reconcile(ctx context.Context, network string, endpoints []DockerEndpoint) {
	known := map[string]bool{}
	for _, ep := range endpoints {
		known[ep.ID] = true
		if err := t.adopt(ep); err != nil {
			t.cfg.Log.Warn("cannot adopt an endpoint", "endpoint", Short(ep.ID), "err", err)
		}
	}
	t.setNetwork(network)
	t.mu.Lock()
	overdue := t.absent.overdue(time.Now(), known, t.doc.Endpoints)
	t.mu.Unlock()
	for _, id := range overdue {
		if err := t.Delete(ctx, id); err != nil {
			t.cfg.Log.Warn("cannot delete an endpoint that Docker no longer knows", "endpoint", Short(id), "err", err)
			continue
		}
		t.cfg.Log.Info("deleted an endpoint that Docker no longer knows", "endpoint", Short(id))
	}
	t.releaseUnused()
}

// adopt enters an endpoint that only Docker knows. It ignores an endpoint that was
// deleted within Grace, because d may be older than the deletion.
func (t *Table) adopt(d DockerEndpoint) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.doc.Endpoints[d.ID]; known != nil && known.Joined && known.Sandbox == "" && d.Sandbox != "" {
		known.Sandbox = d.Sandbox // adopted before its container was known
		return t.changed()
	}
	_, deleted := t.absent.deleted[d.ID]
	if t.doc.Endpoints[d.ID] != nil || deleted || !d.Addr4.IsValid() {
		return nil
	}
	if err := t.cfg.Addresses.Adopt(d.Addr4); err != nil {
		return err
	}
	t.doc.Endpoints[d.ID] = &Endpoint{
		ID: d.ID, Addr4: d.Addr4, Addr6: t.cfg.Addresses.Sibling(d.Addr4), MAC: d.MAC,
		Joined: true, Sandbox: d.Sandbox, Published: d.Published, Created: time.Now(),
	}
	t.cfg.Log.Info("adopted an endpoint", "endpoint", Short(d.ID), "addr", d.Addr4)
	return t.changed()
}

func (t *Table) setNetwork(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doc.Network == id {
		return
	}
	t.doc.Network = id
	if err := t.changed(); err != nil {
		t.cfg.Log.Warn("cannot store the network's ID", "err", err)
	}
}

// overdue notes which of endpoints are not known now, and returns the IDs of those that
// have not been known for Grace.
func (a absences) overdue(now time.Time, known map[string]bool, endpoints map[string]*Endpoint) []string {
	maps.DeleteFunc(a.deleted, func(_ string, at time.Time) bool { return now.Sub(at) >= Grace })
	maps.DeleteFunc(a.missing, func(id string, _ time.Time) bool { return known[id] || endpoints[id] == nil })
	var out []string
	for id := range endpoints {
		if known[id] {
			continue
		}
		if a.missing[id].IsZero() {
			a.missing[id] = now
		}
		if now.Sub(a.missing[id]) >= Grace {
			out = append(out, id)
		}
	}
	return out
}
