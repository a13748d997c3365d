package linker

import (
	"net/netip"
	"time"

	"tombolo/linker/reach"
	"tombolo/linker/vip"
	"tombolo/overlay"
)

// service is a service and its addresses on this host.
type service struct {
	reach.Service
	vip.Addrs
}

// assign gives services their addresses. It leaves out those that get none, which the error
// names.
func assign(book *vip.Book, all []reach.Service, pool6 netip.Prefix) ([]service, error) {
	live := make([]vip.ID, len(all))
	for i, s := range all {
		live[i] = vip.ID{App: s.App, Service: s.Name}
	}
	addrs, err := book.Assign(live, time.Now())
	var out []service
	for i, s := range all {
		a, ok := addrs[live[i]]
		if !ok {
			continue
		}
		if !pool6.IsValid() {
			a.V6 = netip.Addr{} // containers without IPv6 would try it in vain
		}
		out = append(out, service{s, a})
	}
	return out, err
}

// addressesOf returns the function by which views find the addresses.
func addressesOf(all []service) reach.Addresses {
	byID := make(map[vip.ID]vip.Addrs, len(all))
	for _, s := range all {
		byID[vip.ID{App: s.App, Service: s.Name}] = s.Addrs
	}
	return func(app, name string) (addr4, addr6 netip.Addr) {
		a := byID[vip.ID{App: app, Service: name}]
		return a.V4, a.V6
	}
}

// targets expresses a service in addresses, once for each family.
func (s service) targets() []overlay.Service {
	out := []overlay.Service{{Addr: s.V4}}
	if s.V6.IsValid() {
		out = append(out, overlay.Service{Addr: s.V6})
	}
	for _, e := range s.Targets {
		out[0].Targets = append(out[0].Targets, e.Addr4)
		if s.V6.IsValid() && e.Addr6.IsValid() {
			out[1].Targets = append(out[1].Targets, e.Addr6)
		}
	}
	return out
}
