// Package recordtest generates random records for property tests. All of them pass Check.
package recordtest

import (
	"fmt"
	"net/netip"
	"reflect"
	"time"

	"pgregory.net/rapid"

	"tombolo/linker/record"
)

var (
	label    = rapid.StringMatching(`[a-z]([a-z0-9_-]{0,6}[a-z0-9])?`)
	optional = rapid.OneOf(rapid.Just(""), label).AsAny()
	name     = rapid.SampledFrom([]string{"", "www", "www.example.com", "the_db"}).AsAny()
	hexID    = rapid.StringMatching(`[0-9a-f]{8,12}`).AsAny()
	proto    = rapid.SampledFrom([]string{"tcp", "udp", "sctp"}).AsAny()
	slot     = rapid.IntRange(1, 9)
	addr4    = rapid.Map(rapid.Byte(), func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{100, 64, 0, n}) })
	unset    = rapid.Just(netip.Addr{})
)

// content generates the parts of records field by field, so that it covers fields that are
// added later, too.
var content = func() rapid.MakeConfig {
	c := rapid.MakeConfig{
		Kinds: map[reflect.Kind]*rapid.Generator[any]{
			reflect.String: label.AsAny(),
			reflect.Int:    rapid.IntRange(0, 9).AsAny(),
			reflect.Uint16: rapid.Uint16Min(1).AsAny(),
		},
		Types: map[reflect.Type]*rapid.Generator[any]{
			reflect.TypeFor[time.Time]():           rapid.Map(rapid.Int64Range(0, 4e18), moment).AsAny(),
			reflect.TypeFor[netip.Addr]():          rapid.OneOf(unset, addr4).AsAny(),
			reflect.TypeFor[[]string]():            list(label).AsAny(),
			reflect.TypeFor[[]int]():               rapid.SampledFrom([][]int{nil, {2}, {1, 2, 9}}).AsAny(),
			reflect.TypeFor[map[int]uint64]():      table(slot, rapid.Uint64Min(1)).AsAny(),
			reflect.TypeFor[map[string][]string](): table(rapid.StringMatching(`[a-z]{1,3}_[A-Za-z. ]{1,8}`), list(label)).AsAny(),
			reflect.TypeFor[record.Health](): rapid.SampledFrom([]record.Health{
				record.HealthNone, record.HealthStarting, record.HealthHealthy, record.HealthUnhealthy,
			}).AsAny(),
		},
		Fields: map[reflect.Type]map[string]*rapid.Generator[any]{
			reflect.TypeFor[record.Link]():          {"App": optional, "Alias": name},
			reflect.TypeFor[record.Port]():          {"Name": optional, "Proto": proto},
			reflect.TypeFor[record.PublishedPort](): {"Proto": proto, "Last": rapid.Just(uint16(0)).AsAny()},
			reflect.TypeFor[record.Service]():       {"ContainerName": name, "Hostname": name},
			reflect.TypeFor[record.Endpoint](): {
				"Container": hexID, "ContainerName": name, "Hostname": name, "Task": optional,
				"Addr6": rapid.OneOf(unset, rapid.Just(netip.MustParseAddr("fd00::7"))).AsAny(),
			},
		},
	}
	c.Types[reflect.TypeFor[[]record.Link]()] = list(rapid.MakeCustom[record.Link](c)).AsAny()
	c.Types[reflect.TypeFor[[]record.Port]()] = list(rapid.MakeCustom[record.Port](c)).AsAny()
	c.Types[reflect.TypeFor[[]record.PublishedPort]()] = list(rapid.MakeCustom[record.PublishedPort](c)).AsAny()
	c.Types[reflect.TypeFor[map[string]record.Service]()] = table(label, rapid.MakeCustom[record.Service](c)).AsAny()
	return c
}()

var (
	endpoint = rapid.MakeCustom[record.Endpoint](content)
	app      = rapid.MakeCustom[record.App](content)
)

// list generates short slices. An empty one is nil, as after decoding.
func list[T any](element *rapid.Generator[T]) *rapid.Generator[[]T] {
	return rapid.Map(rapid.SliceOfN(element, 0, 2), func(all []T) []T { return append([]T(nil), all...) })
}

// table generates small maps. An empty one is nil, as after decoding.
func table[K comparable, V any](key *rapid.Generator[K], value *rapid.Generator[V]) *rapid.Generator[map[K]V] {
	return rapid.Map(rapid.MapOfN(key, value, 0, 2), func(all map[K]V) map[K]V {
		if len(all) == 0 {
			return nil
		}
		return all
	})
}

// Any generates a record of any kind, or a tombstone.
func Any() *rapid.Generator[record.Record] {
	return rapid.Custom(func(t *rapid.T) record.Record {
		r := record.Record{Version: record.Version{
			Epoch: rapid.Uint64Range(1, 3).Draw(t, "epoch"), Seq: rapid.Uint64Range(1, 3).Draw(t, "seq"),
		}}
		owner := "h" + fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "host"))
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 3:
			forgotten := "h" + fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "forgotten"))
			r.Key, r.Owner = record.Key{Kind: record.KindForgotten, Name: forgotten}, owner
			r.Forgotten = &record.Forgotten{Name: "old"}
			return r // it is never deleted
		case 0:
			r.Key, r.Owner = record.Key{Kind: record.KindHost, Name: owner}, owner
			r.Host = host(t, owner)
		case 1:
			id := "0123456789ab0" + fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "id")) // several hosts may use one
			r.Key, r.Owner = record.Key{Kind: record.KindEndpoint, Name: id}, owner
			e := endpoint.Draw(t, "content")
			e.ID, e.Host, r.Endpoint = id, owner, &e
		default:
			name := "app" + fmt.Sprint(rapid.IntRange(1, 2).Draw(t, "app"))
			r.Key, r.Owner = record.Key{Kind: record.KindApp, Name: name}, "framework"
			a := app.Draw(t, "content")
			a.Name, r.App = name, &a
		}
		if rapid.Bool().Draw(t, "deleted") {
			r.Deleted, r.Host, r.Endpoint, r.App = true, nil, nil, nil
		}
		return r
	})
}

func host(t *rapid.T, name string) *record.Host {
	n := rapid.Byte().Draw(t, "block")
	h := &record.Host{
		Name:     name,
		Version:  rapid.SampledFrom([]string{"", "1.2.3"}).Draw(t, "version"),
		Underlay: netip.AddrFrom4([4]byte{198, 18, 0, n}),
		Block4:   netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, n, 0}), 24),
		Overlay4: netip.AddrFrom4([4]byte{100, 64, n, 1}),
		MAC:      "02:42:00:00:00:01",
		Claimed:  moment(rapid.Int64Range(0, 4e18).Draw(t, "claimed")),
		Hold:     rapid.SampledFrom([]record.Hold{record.HoldAnnounced, record.HoldSettled, record.HoldUsed}).Draw(t, "hold"),

		Restarting: time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "restarting")) * time.Millisecond,
	}
	if rapid.Bool().Draw(t, "renamed") {
		h.ID, h.Name = name, "renamed"
	}
	if rapid.Bool().Draw(t, "v6") {
		h.Block6 = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 9: n}), 80)
		h.Overlay6 = netip.AddrFrom16([16]byte{0xfd, 9: n, 15: 1})
	}
	return h
}

// Identity generates an endpoint with only the fields that labels carry.
func Identity() *rapid.Generator[record.Endpoint] {
	return rapid.Map(endpoint, func(e record.Endpoint) record.Endpoint {
		e.ID, e.Host, e.Container, e.Hostname, e.Addr4, e.Addr6 = "", "", "", "", netip.Addr{}, netip.Addr{}
		e.Published, e.Running, e.Health, e.Started = nil, false, "", time.Time{}
		return e
	})
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
