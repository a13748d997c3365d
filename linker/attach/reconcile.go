package attach

import (
	"context"
	"maps"
	"net/netip"
	"time"

	"tombolo/linker/record"
)

// Grace is how long Docker must not have known an endpoint before it is collected:
// one that is being made appears in Docker's own tables last.
const Grace = 30 * time.Second

// DockerEndpoint is an endpoint that Docker knows.
type DockerEndpoint struct {
	ID        string
	Addr4     netip.Addr
	MAC       string
	Published []record.PublishedPort
}

// Reconcile makes the table match what Docker says now: endpoints that it alone
// knows are adopted, those that it has not known for Grace are collected with
// their interfaces and addresses. It is called again from time to time, as
// Docker's calls to remove an endpoint are lost when it crashes.
func (t *Table) Reconcile(ctx context.Context, network string, live []DockerEndpoint) {
	known := map[string]bool{}
	for _, l := range live {
		known[l.ID] = true
		if err := t.adopt(l); err != nil {
			t.cfg.Log.Warn("cannot adopt an endpoint", "endpoint", Short(l.ID), "err", err)
		}
	}
	t.setNetwork(network)
	for _, id := range t.overdue(known) {
		if err := t.Delete(ctx, id); err != nil {
			t.cfg.Log.Warn("cannot collect an endpoint", "endpoint", Short(id), "err", err)
			continue
		}
		t.cfg.Log.Info("collected an endpoint that Docker no longer knows", "endpoint", Short(id))
	}
	t.collectAddresses()
}

// adopt enters an endpoint that Docker alone knows. One that was deleted within Grace
// is known from before: what Docker says of it was asked for earlier.
func (t *Table) adopt(l DockerEndpoint) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, gone := t.gone[l.ID]
	if ep := t.doc.Endpoints[l.ID]; ep != nil || gone || !l.Addr4.IsValid() {
		return nil
	}
	if err := t.cfg.Addresses.Adopt(l.Addr4); err != nil {
		return err
	}
	t.doc.Endpoints[l.ID] = &Endpoint{
		ID: l.ID, Addr4: l.Addr4, Addr6: t.cfg.Addresses.Sibling(l.Addr4), MAC: l.MAC,
		Joined: true, Published: l.Published, Created: t.now(),
	}
	t.cfg.Log.Info("adopted an endpoint", "endpoint", Short(l.ID), "addr", l.Addr4)
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
		t.cfg.Log.Warn("cannot keep the network's ID", "err", err)
	}
}

// overdue notes which endpoints Docker does not know, and lists those for which
// that has been so for Grace.
func (t *Table) overdue(known map[string]bool) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	maps.DeleteFunc(t.gone, func(_ string, at time.Time) bool { return t.now().Sub(at) >= Grace })
	for id := range t.missing {
		if known[id] || t.doc.Endpoints[id] == nil {
			delete(t.missing, id)
		}
	}
	for id := range t.doc.Endpoints {
		if known[id] {
			continue
		}
		if t.missing[id].IsZero() {
			t.missing[id] = t.now()
		}
		if t.now().Sub(t.missing[id]) >= Grace {
			out = append(out, id)
		}
	}
	return out
}
