package linker

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"tombolo/linker/api"
	"tombolo/linker/attach"
	"tombolo/linker/inspect"
	"tombolo/overlay"
)

// inspector looks at the containers of this host for the clients of the API. It implements
// api.Inspector.
type inspector struct {
	effective *effectiveCache
	table     endpoints
	look      func(context.Context, inspect.Request) inspect.Result
}

// Inspect looks at a container of this host, and at the way from it to an address.
func (i inspector) Inspect(ctx context.Context, q api.InspectQuery) (api.Inspection, error) {
	e := i.effective.get()
	ep, err := findEndpoint(e.Snapshot, q.Container)
	if err != nil {
		return api.Inspection{}, err
	}
	if ep.Host != e.self.Key() {
		return api.Inspection{}, fmt.Errorf("%w: container %s is on %s: ask the linker there", api.ErrNotFound, q.Container, e.HostName(ep.Host))
	}
	held := i.table.Snapshot()
	at := slices.IndexFunc(held, func(h attach.Endpoint) bool { return h.ID == ep.ID })
	out := api.Inspection{Host: e.self.Name, Container: ep.ContainerName, Attached: at >= 0 && held[at].Joined}
	r := inspect.Request{Name: q.Name, Listeners: true, From: source(q.To, ep.Addr4, ep.Addr6), Interface: overlay.HostSide(ep.ID), To: q.To, Port: q.Port}
	if at >= 0 {
		r.Sandbox = held[at].Sandbox
	}
	if !q.To.IsValid() {
		r.Interface = ""
	}
	out.Result = i.look(ctx, r)
	return out, nil
}

// source returns the address with which a container sends to an address.
func source(to, addr4, addr6 netip.Addr) netip.Addr {
	if to.Is6() {
		return addr6
	}
	return addr4
}
