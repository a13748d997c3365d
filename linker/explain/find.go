package explain

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"tombolo/linker/record"
)

// Outside is what people call everything beyond the overlay.
const Outside = "outside"

// ErrNotFound is returned for a text that names no container, instance or service.
var ErrNotFound = errors.New("names no container, instance or service")

// Find returns what text means: "outside"; an address; a container by its name, by at least
// four characters of its ID, or as HOST/NAME; a service as web, shop/web, web.shop or
// web.shop.ZONE; an instance as web.1, 1.web, web-1, shop/web.1, shop/web/1, 1.web.shop or
// shop-web-1. near is the app that decides if services of several apps have the name; "": none.
func Find(s *record.Snapshot, text, near, zone string) (Party, error) {
	p := Party{Text: text}
	name := strings.TrimSuffix(record.Normal(text), "."+zone)
	if name == Outside {
		p.Outside = true
		return p, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		p.Addr = addr.Unmap()
		p.setEndpoints(endpointsWhere(s, func(ep *record.Endpoint) bool { return ep.Addr4 == p.Addr || ep.Addr6 == p.Addr }))
		return p, nil
	}
	if found := findContainers(s, text); len(found) > 0 {
		if len(found) > 1 {
			return p, fmt.Errorf("%q may be any of %s", text, strings.Join(labels(found), ", "))
		}
		p.setEndpoints(found)
		return p, nil
	}
	var found []Party
	for _, id := range services(s) {
		if whole, slot, ok := id.match(name); ok {
			found = append(found, id.party(s, text, whole, slot))
		}
	}
	if i := slices.IndexFunc(found, func(p Party) bool { return p.App == near }); len(found) > 1 && near != "" && i >= 0 {
		return found[i], nil
	}
	switch len(found) {
	case 0:
		return p, fmt.Errorf("%q %w of this cluster (see: tombolo ps -a)", text, ErrNotFound)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, p := range found {
		names = append(names, p.App+"/"+p.Service)
	}
	return p, fmt.Errorf("%q may be any of %s", text, strings.Join(names, ", "))
}

func (p *Party) setEndpoints(all []*record.Endpoint) {
	p.Endpoints = all
	if len(all) > 0 {
		p.App, p.Service = all[0].App, all[0].Service
	}
}

// findContainers finds a container by its name or ID.
func findContainers(s *record.Snapshot, text string) []*record.Endpoint {
	exact := endpointsWhere(s, func(ep *record.Endpoint) bool {
		return ep.Container == text || ep.ContainerName == text || ep.Host+"/"+ep.ContainerName == text
	})
	if len(exact) > 0 || len(text) < 4 {
		return exact
	}
	return endpointsWhere(s, func(ep *record.Endpoint) bool { return strings.HasPrefix(ep.Container, text) })
}

// endpointsWhere returns the endpoints for which is returns true: by slot, the newest
// generation first.
func endpointsWhere(s *record.Snapshot, is func(*record.Endpoint) bool) []*record.Endpoint {
	var out []*record.Endpoint
	for _, ep := range s.Endpoints {
		if is(ep) {
			out = append(out, ep)
		}
	}
	slices.SortFunc(out, func(a, b *record.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(b.Generation, a.Generation), strings.Compare(a.Key(), b.Key()))
	})
	return out
}

func labels(all []*record.Endpoint) []string {
	var out []string
	for _, ep := range all {
		out = append(out, ep.Host+"/"+ep.ContainerName)
	}
	return out
}

// serviceID names a service.
type serviceID struct{ app, service string }

// services returns every service that an app record or an endpoint names, sorted.
func services(s *record.Snapshot) []serviceID {
	set := map[serviceID]bool{}
	for app, a := range s.Apps {
		for service := range a.Services {
			set[serviceID{app, service}] = true
		}
	}
	for _, ep := range s.Endpoints {
		if ep.Service != "" {
			set[serviceID{ep.App, ep.Service}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b serviceID) int {
		return cmp.Or(strings.Compare(a.app, b.app), strings.Compare(a.service, b.service))
	})
}

// match reports whether name means the whole service, or the instance slot of it.
func (id serviceID) match(name string) (whole bool, slot int, ok bool) {
	app, svc := record.Normal(id.app), record.Normal(id.service)
	if slices.Contains([]string{svc, app + "/" + svc, svc + "." + app, "tasks." + svc, "tasks." + svc + "." + app}, name) {
		return true, 0, true
	}
	for _, around := range [][2]string{ // before and after the number
		{svc + ".", ""}, {svc + "-", ""}, {"", "." + svc}, {"", "." + svc + "." + app}, {svc + "." + app + ".", ""},
		{app + "/" + svc + ".", ""}, {app + "/" + svc + "/", ""}, {app + "/" + svc + "-", ""}, {app + "-" + svc + "-", ""}, {app + "_" + svc + "_", ""},
	} {
		rest, before := strings.CutPrefix(name, around[0])
		digits, after := strings.CutSuffix(rest, around[1])
		if n, err := strconv.Atoi(digits); err == nil && n > 0 && before && after {
			return false, n, true
		}
	}
	return false, 0, false
}

func (id serviceID) party(s *record.Snapshot, text string, whole bool, slot int) Party {
	return Party{Text: text, App: id.app, Service: id.service, Whole: whole, Endpoints: endpointsWhere(s, func(ep *record.Endpoint) bool {
		return ep.App == id.app && ep.Service == id.service && (whole || ep.Slot == slot)
	})}
}

// ParseTarget splits TO[:PORT[/PROTO]]. An IPv6 address with a port stands in brackets.
func ParseTarget(text string) (name string, port record.Port, err error) {
	port.Proto = "tcp"
	if _, err := netip.ParseAddr(text); err == nil {
		return text, port, nil // an IPv6 address has colons too
	}
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return strings.Trim(text, "[]"), port, nil
	}
	number, proto, given := strings.Cut(text[i+1:], "/")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return "", port, fmt.Errorf("%q: %q is not a port, which has a number from 1 to 65535", text, number)
	}
	port.Number = uint16(n)
	if given {
		if port.Proto = proto; proto != "tcp" && proto != "udp" {
			return "", port, fmt.Errorf("%q: the protocol %q is neither tcp nor udp", text, proto)
		}
	}
	return strings.Trim(text[:i], "[]"), port, nil
}
