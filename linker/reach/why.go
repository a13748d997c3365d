package reach

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tombolo/linker/record"
)

// Verdict is the answer to the question whether one endpoint may reach a port of another.
type Verdict struct {
	Allowed bool
	Reason  string // a sentence without a full stop
	Remedy  string // what would allow it; "" if it is allowed
}

// Why returns what Allowed returns for the same arguments, with the reason.
func (r *Relation) Why(from, to string, port record.Port) Verdict {
	a, b := r.endpoints[from], r.endpoints[to]
	for key, e := range map[string]*endpoint{from: a, to: b} {
		if e == nil {
			return refused("no host announces the container "+key, "start it on the network tombolo")
		}
	}
	if port.Proto == "" {
		port.Proto = "tcp"
	}
	ports, ok := grant(a, b)
	switch {
	case !ok:
		return r.whyNot(a, b)
	case ports != nil && port.Number != 0 && !r.Allowed(from, to, port):
		return refused(
			fmt.Sprintf("the link of %s to %s permits %s only", a.label(), b.label(), portList(ports)),
			fmt.Sprintf("add %q to expose: of %s", fmt.Sprintf("%d/%s", port.Number, port.Proto), b.label()))
	}
	return Verdict{Allowed: true, Reason: whyGranted(a, b, ports)}
}

func refused(reason, remedy string) Verdict { return Verdict{Reason: reason, Remedy: remedy} }

func whyGranted(a, b *endpoint, ports []record.Port) string {
	if a == b {
		return "a container may reach itself"
	}
	if shared := sharedNetworks(a.terms, b.terms); len(shared) > 0 {
		slices.Sort(shared)
		return fmt.Sprintf("%s and %s are both on the network %s", a.label(), b.label(), shared[0])
	}
	if ports == nil {
		return fmt.Sprintf("%s has a link to %s", a.label(), b.label())
	}
	return fmt.Sprintf("%s has a link to %s, which permits %s", a.label(), b.label(), portList(ports))
}

// whyNot says why grant gives a no permission for b.
func (r *Relation) whyNot(a, b *endpoint) Verdict {
	for _, e := range []*endpoint{a, b} {
		if e.svc.app == "" {
			return refused(e.label()+" belongs to no app: its labels name none, or cannot be read",
				"give the container labels (docs/names-and-dns.md), or look for it in tombolo linker status")
		}
	}
	link := fmt.Sprintf("add links: [%s] to %s", b.svc.service, a.label())
	if a.svc.app != b.svc.app {
		return r.whyNotOtherApp(a, b)
	}
	if a.strict || b.strict {
		return refused(fmt.Sprintf("the app %s permits links only (isolation: links), and %s has no link to %s", a.svc.app, a.label(), b.label()), link)
	}
	return refused(fmt.Sprintf("%s (%s) and %s (%s) share no network, and there is no link from %s to %s",
		a.label(), networkList(a), b.label(), networkList(b), a.label(), b.label()), "put both on one network, or "+link)
}

func (r *Relation) whyNotOtherApp(a, b *endpoint) Verdict {
	linked := slices.ContainsFunc(a.links, func(l record.Link) bool { return linkTarget(a.svc.app, l) == b.svc.serviceID })
	if linked && !b.export.Allows(a.svc.app) {
		return refused(fmt.Sprintf("%s has a link to %s, whose own file does not export it to the app %s", a.label(), b.label(), a.svc.app),
			fmt.Sprintf("add x-tombolo: {export: true} to the service %s in the file of the app %s", b.svc.service, b.svc.app))
	}
	return refused(fmt.Sprintf("%s and %s are in different apps, which share no external network, and there is no link from %s to %s",
		a.label(), b.label(), a.label(), b.label()),
		fmt.Sprintf("put both on one external network, or add external_links: [%s.%s] to %s, and export: true to %s in its own file", b.svc.service, b.svc.app, a.label(), b.label()))
}

// label names an endpoint for people: "web.1 of shop", or the name of its container.
func (e *endpoint) label() string {
	switch {
	case e.svc.app == "" || e.svc.service == "":
		if e.rec.ContainerName != "" {
			return "container " + e.rec.ContainerName
		}
		return "container " + e.key
	case e.rec.Slot == 0:
		return e.svc.app + "/" + e.svc.service
	}
	return fmt.Sprintf("%s/%s.%d", e.svc.app, e.svc.service, e.rec.Slot)
}

func networkList(e *endpoint) string {
	if len(e.networks) == 0 {
		return "on no network"
	}
	return "on " + strings.Join(slices.Sorted(maps.Keys(e.networks)), ", ")
}

func portList(ports []record.Port) string {
	var all []string
	for _, p := range ports {
		all = append(all, fmt.Sprintf("%d/%s", p.Number, p.Proto))
	}
	return strings.Join(all, ", ")
}
