package record

import (
	"maps"
	"slices"
)

// ByName returns a copy of s for people, in which each host is known by its name. Of several
// hosts with one name, one that answers has it; the others are known by their identities.
func (s *Snapshot) ByName() *Snapshot {
	names, named := map[string]string{}, s.HostsByName() // names by key
	for _, key := range slices.Sorted(maps.Keys(s.Hosts)) {
		names[key] = key
		if h := s.Hosts[key]; named[h.Name] == h {
			names[key] = h.Name
		}
	}
	out := *s
	out.Hosts, out.Endpoints, out.Suspended = map[string]*Host{}, map[string]*Endpoint{}, map[string]bool{}
	for key, h := range s.Hosts {
		named := *h
		named.ID, named.Name = "", names[key]
		out.Hosts[names[key]] = &named
	}
	for _, e := range s.Endpoints {
		named := *e
		if name, known := names[e.Host]; known {
			named.Host = name
		}
		out.Endpoints[named.Key()] = &named
	}
	for key := range s.Suspended {
		if name, known := names[key]; known {
			out.Suspended[name] = true
		}
	}
	return &out
}
