// Package recordtest generates random records for property tests. All of them pass Check.
package recordtest

import (
	"fmt"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"tombolo/linker/record"
)

var (
	label   = rapid.StringMatching(`[a-z]([a-z0-9_-]{0,6}[a-z0-9])?`)
	network = rapid.StringMatching(`[a-z]{1,3}_[A-Za-z. ]{1,8}`)
	hexID   = rapid.StringMatching(`[0-9a-f]{8,12}`)
	proto   = rapid.SampledFrom([]string{"tcp", "udp", "sctp"})
	health  = rapid.SampledFrom([]record.Health{
		record.HealthNone, record.HealthStarting, record.HealthHealthy, record.HealthUnhealthy,
	})
)

// Any generates a record of any kind, or a tombstone.
func Any() *rapid.Generator[record.Record] {
	return rapid.Custom(func(t *rapid.T) record.Record {
		r := record.Record{Version: record.Version{
			Epoch: rapid.Uint64Range(1, 3).Draw(t, "epoch"), Seq: rapid.Uint64Range(1, 3).Draw(t, "seq"),
		}}
		owner := "h" + fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "host"))
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			r.Key, r.Owner = record.Key{Kind: record.KindHost, Name: owner}, owner
			r.Host = Host(owner).Draw(t, "content")
		case 1:
			id := "0123456789ab" + owner[1:] + fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "id")) // an ID belongs to one host
			r.Key, r.Owner = record.Key{Kind: record.KindEndpoint, Name: id}, owner
			r.Endpoint = Endpoint(id, owner).Draw(t, "content")
		default:
			name := "app" + fmt.Sprint(rapid.IntRange(1, 2).Draw(t, "app"))
			r.Key, r.Owner = record.Key{Kind: record.KindApp, Name: name}, "framework"
			r.App = App(name).Draw(t, "content")
		}
		if rapid.Bool().Draw(t, "deleted") {
			r.Deleted, r.Host, r.Endpoint, r.App = true, nil, nil, nil
		}
		return r
	})
}

// Host generates a host.
func Host(name string) *rapid.Generator[*record.Host] {
	return rapid.Custom(func(t *rapid.T) *record.Host {
		n := rapid.Byte().Draw(t, "block")
		h := &record.Host{
			Name:     name,
			Underlay: netip.AddrFrom4([4]byte{198, 18, 0, n}),
			Block4:   netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, n, 0}), 24),
			Overlay4: netip.AddrFrom4([4]byte{100, 64, n, 1}),
			MAC:      "02:42:00:00:00:01",
			Claimed:  moment(t),
			Restart:  moment(t),
		}
		if rapid.Bool().Draw(t, "v6") {
			h.Block6 = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 9: n}), 80)
			h.Overlay6 = netip.AddrFrom16([16]byte{0xfd, 9: n, 15: 1})
		}
		return h
	})
}

// Endpoint generates an endpoint of a host.
func Endpoint(id, host string) *rapid.Generator[*record.Endpoint] {
	return rapid.Custom(func(t *rapid.T) *record.Endpoint {
		e := &record.Endpoint{
			ID: id, Host: host,
			Container: hexID.Draw(t, "container"),
			Hostname:  rapid.SampledFrom([]string{"", "www", "www.example.com"}).Draw(t, "hostname"),
			Addr4:     netip.AddrFrom4([4]byte{100, 64, 0, rapid.Byte().Draw(t, "addr")}),
			Running:   rapid.Bool().Draw(t, "running"),
			Health:    health.Draw(t, "health"),
			Started:   moment(t),
		}
		for range rapid.IntRange(0, 2).Draw(t, "published") {
			e.Published = append(e.Published, record.PublishedPort{
				HostPort: port(t), Port: port(t), Proto: proto.Draw(t, "proto"),
			})
		}
		i := Identity().Draw(t, "identity")
		e.App, e.Service, e.Slot, e.Generation, e.Task = i.App, i.Service, i.Slot, i.Generation, i.Task
		e.Networks, e.Links, e.Export, e.Ports = i.Networks, i.Links, i.Export, i.Ports
		e.Strict, e.Internal, e.DNSRR, e.ContainerName = i.Strict, i.Internal, i.DNSRR, i.ContainerName
		return e
	})
}

// Identity generates an endpoint with only the fields that labels carry.
func Identity() *rapid.Generator[record.Endpoint] {
	return rapid.Custom(func(t *rapid.T) record.Endpoint {
		s := service(t)
		return record.Endpoint{
			App:           label.Draw(t, "app"),
			Service:       label.Draw(t, "service"),
			Slot:          rapid.IntRange(0, 9).Draw(t, "slot"),
			Generation:    rapid.Uint64Range(0, 9).Draw(t, "generation"),
			Task:          rapid.SampledFrom([]string{"", "shop.db.1.g7"}).Draw(t, "task"),
			Networks:      s.Networks,
			Links:         s.Links,
			Export:        s.Export,
			Ports:         s.Ports,
			Strict:        rapid.Bool().Draw(t, "strict"),
			Internal:      rapid.Bool().Draw(t, "internal"),
			DNSRR:         s.DNSRR,
			ContainerName: s.ContainerName,
		}
	})
}

// App generates an app.
func App(name string) *rapid.Generator[*record.App] {
	return rapid.Custom(func(t *rapid.T) *record.App {
		a := &record.App{Name: name, Revision: rapid.Uint64().Draw(t, "revision"), Strict: rapid.Bool().Draw(t, "strict")}
		for range rapid.IntRange(0, 2).Draw(t, "services") {
			s := service(t)
			s.Replicas = rapid.IntRange(0, 9).Draw(t, "replicas")
			if rapid.Bool().Draw(t, "slots") {
				s.Generations = map[int]uint64{1: 7, 2: 1 << 40}
				s.Drained = []int{2}
			}
			if a.Services == nil {
				a.Services = map[string]record.Service{}
			}
			a.Services[label.Draw(t, "service")] = s
		}
		return a
	})
}

func service(t *rapid.T) record.Service {
	s := record.Service{
		ContainerName: rapid.SampledFrom([]string{"", "the_db"}).Draw(t, "container name"),
		DNSRR:         rapid.Bool().Draw(t, "dnsrr"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "networks") {
		if s.Networks == nil {
			s.Networks = map[string][]string{}
		}
		s.Networks[network.Draw(t, "network")] = rapid.SliceOfN(label, 0, 2).Draw(t, "aliases")
	}
	for n, aliases := range s.Networks {
		if len(aliases) == 0 {
			s.Networks[n] = nil
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "links") {
		s.Links = append(s.Links, record.Link{
			App: rapid.SampledFrom([]string{"", "other"}).Draw(t, "app"), Service: label.Draw(t, "service"),
			Alias: rapid.SampledFrom([]string{"", "store", "a.b"}).Draw(t, "alias"),
		})
	}
	if rapid.Bool().Draw(t, "export") {
		s.Export = &record.Export{}
		if rapid.Bool().Draw(t, "to") {
			s.Export.To = []string{label.Draw(t, "app")}
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "ports") {
		s.Ports = append(s.Ports, record.Port{
			Name: rapid.SampledFrom([]string{"", "http"}).Draw(t, "name"), Number: port(t), Proto: proto.Draw(t, "proto"),
		})
	}
	return s
}

func port(t *rapid.T) uint16 { return rapid.Uint16Min(1).Draw(t, "port") }

func moment(t *rapid.T) time.Time {
	n := rapid.Int64Range(0, 4e18).Draw(t, "time")
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
