// Package explain gathers from the linkers what `tombolo explain` says. linker/explain
// decides what it means.
package explain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"tombolo/linker"
	"tombolo/linker/api"
	"tombolo/linker/explain"
	"tombolo/linker/inspect"
	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// Linker is one linker that can be asked.
type Linker struct {
	Host string // "": not known before it is asked
	Ask  func(func(*api.Client) error) error
}

// maxLooks bounds the instances of a service at which a linker looks.
const maxLooks = 8

// Explain goes the way from one container to another, as far as the linkers can be asked. to
// may have a port. It returns an error if no linker answers, or if a text names no container.
func Explain(ctx context.Context, linkers []Linker, from, to string) (explain.Explanation, error) {
	name, port, err := explain.ParseTarget(to)
	if err != nil {
		return explain.Explanation{}, err
	}
	g := &gathering{ctx: ctx, linkers: map[string]Linker{}}
	g.facts.Port = port
	g.facts.Hosts, g.facts.Ways, g.facts.Ends = map[string]explain.Host{}, map[string]inspect.Result{}, map[string]inspect.Result{}
	if err := g.askHosts(linkers); err != nil {
		return explain.Explanation{}, err
	}
	if err := g.findParties(from, name); err != nil {
		return explain.Explanation{}, err
	}
	g.defaultPort()
	if !g.facts.From.Outside && g.facts.From.Key() != "" {
		g.resolve(name)
		g.lookFrom()
	}
	g.lookAt()
	return explain.Walk(g.facts), nil
}

// gathering collects the facts.
type gathering struct {
	ctx     context.Context
	linkers map[string]Linker // that answer, by host
	facts   explain.Facts
}

// askHosts asks each linker for its state, and the first that answers for the catalog.
func (g *gathering) askHosts(linkers []Linker) error {
	var errs []error
	for _, l := range linkers {
		err := l.Ask(func(c *api.Client) error {
			status, err := c.Status(g.ctx)
			if err != nil {
				return err
			}
			l.Host = status.Host.Name
			g.facts.Hosts[l.Host] = explain.Host{Problems: status.Problems}
			g.linkers[l.Host] = l
			if g.facts.Snapshot == nil {
				var catalog *record.Snapshot
				if catalog, err = c.Catalog(g.ctx); err == nil {
					g.facts.Snapshot = catalog.ByName()
				}
			}
			return err
		})
		if err != nil {
			errs = append(errs, err)
			if l.Host != "" {
				g.facts.Hosts[l.Host] = explain.Host{Error: err.Error()}
			}
		}
	}
	if g.facts.Snapshot == nil {
		return errors.Join(errs...)
	}
	g.facts.Relation = reach.Of(g.facts.Snapshot)
	return nil
}

// findParties finds what the texts mean. Where a name exists in several apps, the app of the
// other party decides.
func (g *gathering) findParties(from, to string) error {
	near := ""
	if known, err := explain.Find(g.facts.Snapshot, to, "", linker.Zone); err == nil {
		near = known.App
	}
	var err error
	if g.facts.From, err = explain.Find(g.facts.Snapshot, from, near, linker.Zone); err != nil {
		return fmt.Errorf("FROM: %w", err)
	}
	g.facts.To, err = explain.Find(g.facts.Snapshot, to, g.facts.From.App, linker.Zone)
	if errors.Is(err, explain.ErrNotFound) && !g.facts.From.Outside { // an alias, which only the asker's view has
		return g.findAlias(to, err)
	}
	if err != nil {
		return fmt.Errorf("TO: %w", err)
	}
	first := slices.IndexFunc(g.facts.From.Endpoints, func(ep *record.Endpoint) bool { return ep.Running })
	if first > 0 && g.facts.From.Whole { // any instance can stand for its service
		g.facts.From.Endpoints[0], g.facts.From.Endpoints[first] = g.facts.From.Endpoints[first], g.facts.From.Endpoints[0]
	}
	return nil
}

// findAlias finds the instances to which an alias of a link or of a network leads.
func (g *gathering) findAlias(name string, notFound error) error {
	g.resolve(name)
	r := g.facts.Resolved
	if r == nil || !r.Exists {
		return fmt.Errorf("TO: %w", notFound)
	}
	g.facts.To = explain.Party{Text: name, Whole: true}
	for _, t := range r.Instances {
		known, err := explain.Find(g.facts.Snapshot, t.Name, g.facts.From.App, linker.Zone)
		if err != nil {
			continue
		}
		g.facts.To.App, g.facts.To.Service = known.App, known.Service
		g.facts.To.Endpoints = append(g.facts.To.Endpoints, known.Endpoints...)
	}
	return nil
}

// defaultPort takes the first port that the target's service names, if the user names none.
func (g *gathering) defaultPort() {
	f := &g.facts
	if f.Port.Number != 0 || f.From.Outside || f.Snapshot.Apps[f.To.App] == nil {
		return
	}
	if ports := f.Snapshot.Apps[f.To.App].Services[f.To.Service].Ports; len(ports) > 0 {
		f.Port = ports[0]
	}
}

// resolve looks up the target's name in the view of the sender.
func (g *gathering) resolve(name string) {
	f := &g.facts
	if f.To.Outside || f.To.Addr.IsValid() || f.Resolved != nil {
		return
	}
	f.Name = lookupName(f.To, name)
	asker := f.From.Endpoints[0]
	l, ok := g.linkers[asker.Host]
	if !ok {
		return
	}
	err := l.Ask(func(c *api.Client) error {
		r, err := c.Resolve(g.ctx, f.Name, asker.Addr4.String())
		if err != nil {
			return err
		}
		f.Resolved = &explain.Resolution{Exists: r.Exists, Service: r.Service, Instances: r.Targets}
		for _, t := range r.Targets {
			for _, addr := range []netip.Addr{t.Addr4, t.Addr6} {
				if addr.IsValid() {
					f.Resolved.Addresses = append(f.Resolved.Addresses, addr)
				}
			}
		}
		if r.Service {
			f.Resolved.Instances = r.Instances
		}
		return nil
	})
	if err != nil {
		f.Hosts[asker.Host] = explain.Host{Error: err.Error()}
	}
}

// lookupName returns the name by which the sender asks for the target. A container that is no
// instance of a service has its own name.
func lookupName(to explain.Party, text string) string {
	switch {
	case to.Service == "":
		return text
	case to.Whole:
		return to.Service + "." + to.App + "." + linker.Zone
	case len(to.Endpoints) > 0 && to.Endpoints[0].Slot == 0:
		return to.Endpoints[0].ContainerName
	case len(to.Endpoints) > 0:
		return fmt.Sprintf("%d.%s.%s.%s", to.Endpoints[0].Slot, to.Service, to.App, linker.Zone)
	}
	return to.Service + "." + to.App + "." + linker.Zone
}

// lookFrom asks the sender's host for the way to each instance, or to the address.
func (g *gathering) lookFrom() {
	f := &g.facts
	asker := f.From.Endpoints[0]
	l, ok := g.linkers[asker.Host]
	if !ok || f.To.Outside {
		return
	}
	to := map[string]netip.Addr{}
	for _, ep := range f.To.Endpoints[:min(maxLooks, len(f.To.Endpoints))] {
		to[ep.Key()] = ep.Addr4
	}
	if len(to) == 0 && f.To.Addr.IsValid() {
		to[""] = f.To.Addr
	}
	for key, addr := range to {
		q := api.InspectQuery{Container: asker.Addr4.String(), Name: f.Name, To: addr}
		if f.Port.Proto == "tcp" {
			q.Port = f.Port.Number
		}
		g.look(l, q, f.Ways, key)
	}
}

// lookAt asks the instances' hosts where these listen.
func (g *gathering) lookAt() {
	for _, ep := range g.facts.To.Endpoints[:min(maxLooks, len(g.facts.To.Endpoints))] {
		if l, ok := g.linkers[ep.Host]; ok {
			g.look(l, api.InspectQuery{Container: ep.Addr4.String()}, g.facts.Ends, ep.Key())
		}
	}
}

func (g *gathering) look(l Linker, q api.InspectQuery, into map[string]inspect.Result, key string) {
	err := l.Ask(func(c *api.Client) error {
		seen, err := c.Inspect(g.ctx, q)
		if err == nil {
			into[key] = seen.Result
		}
		return err
	})
	if err != nil && !errors.Is(err, api.ErrNotFound) {
		h := g.facts.Hosts[l.Host]
		h.Error = err.Error()
		g.facts.Hosts[l.Host] = h
	}
}
