package record

import (
	"errors"
	"fmt"
	"slices"
)

// MaxEncoded bounds an encoded record. One of an endpoint has a few hundred
// bytes; only an app record of very many services comes near.
const MaxEncoded = 1 << 20

// format is the first byte of every encoded record. A linker refuses a format
// that it does not know: it would pass on less than it was told.
const format = 1

// The second byte: the kind, and whether the record is a tombstone.
const (
	tagHost     = 1
	tagEndpoint = 2
	tagApp      = 3
	tagDeleted  = 0x80
)

var (
	kindTags = map[Kind]byte{KindHost: tagHost, KindEndpoint: tagEndpoint, KindApp: tagApp}
	tagKinds = map[byte]Kind{tagHost: KindHost, tagEndpoint: KindEndpoint, tagApp: KindApp}

	healths = []Health{"", HealthNone, HealthStarting, HealthHealthy, HealthUnhealthy}
	protos  = []string{"", "tcp", "udp", "sctp"}
)

// Encode returns the compact wire form of r. It returns an error when r does not
// pass Check or is larger than MaxEncoded. Equal records have equal encodings.
//
// The form is positional: what the kind implies (an endpoint's ID is the record's
// name, its host the owner) is not repeated, hexadecimal IDs take half their size,
// and maps are sorted.
func Encode(r Record) ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	w := &writer{b: make([]byte, 0, 512)}
	tag := kindTags[r.Kind]
	if r.Deleted {
		tag |= tagDeleted
	}
	w.b = append(w.b, format, tag)
	w.text(r.Name)
	if r.Kind != KindHost {
		w.text(r.Owner)
	}
	w.number(r.Version.Epoch)
	w.number(r.Version.Seq)
	switch {
	case r.Host != nil:
		w.host(r.Host)
	case r.Endpoint != nil:
		w.endpoint(r.Endpoint)
	case r.App != nil:
		w.app(r.App)
	}
	if len(w.b) > MaxEncoded {
		return nil, fmt.Errorf("encode: record %s/%s has %d bytes: at most %d", r.Kind, r.Name, len(w.b), MaxEncoded)
	}
	return w.b, nil
}

// Decode is the reverse of Encode. It takes nothing that Check refuses, reads all
// of b, and keeps no reference to it.
func Decode(b []byte) (Record, error) {
	if len(b) > MaxEncoded {
		return Record{}, fmt.Errorf("decode: %d bytes: at most %d", len(b), MaxEncoded)
	}
	rd := &reader{b: b}
	r := rd.record()
	if rd.err == nil && len(rd.b) > 0 {
		rd.fail(fmt.Errorf("%d bytes follow the record", len(rd.b)))
	}
	if rd.err == nil {
		rd.err = r.Check()
	}
	if rd.err != nil {
		return Record{}, fmt.Errorf("decode: %w", rd.err)
	}
	return r, nil
}

func (r *reader) record() Record {
	if f := r.byte(); r.err == nil && f != format {
		r.fail(fmt.Errorf("unknown format %d", f))
	}
	tag := r.byte()
	kind, ok := tagKinds[tag&^tagDeleted]
	if !ok {
		r.fail(fmt.Errorf("unknown kind %d", tag))
	}
	rec := Record{Key: Key{Kind: kind, Name: r.text()}, Deleted: tag&tagDeleted != 0}
	rec.Owner = rec.Name
	if kind != KindHost {
		rec.Owner = r.text()
	}
	rec.Version = Version{Epoch: r.number(), Seq: r.number()}
	if r.err != nil || rec.Deleted {
		return rec
	}
	switch kind {
	case KindHost:
		rec.Host = r.host(rec.Name)
	case KindEndpoint:
		rec.Endpoint = r.endpoint(rec.Name, rec.Owner)
	case KindApp:
		rec.App = r.app(rec.Name)
	}
	return rec
}

func (w *writer) host(h *Host) {
	w.addr(h.Underlay)
	w.prefix(h.Block4)
	w.prefix(h.Block6)
	w.addr(h.Overlay4)
	w.addr(h.Overlay6)
	w.text(h.MAC)
	w.time(h.Claimed)
	w.time(h.Restart)
}

func (r *reader) host(name string) *Host {
	return &Host{
		Name: name, Underlay: r.addr(), Block4: r.prefix(), Block6: r.prefix(),
		Overlay4: r.addr(), Overlay6: r.addr(), MAC: r.text(), Claimed: r.time(), Restart: r.time(),
	}
}

func (w *writer) endpoint(e *Endpoint) {
	w.text(e.Container)
	w.text(e.ContainerName)
	w.text(e.Hostname)
	w.addr(e.Addr4)
	w.addr(e.Addr6)
	w.text(e.App)
	w.text(e.Service)
	w.number(uint64(e.Slot))
	w.number(e.Generation)
	w.text(e.Task)
	w.flags(e.Strict, e.Internal, e.Running, e.Export != nil)
	w.b = append(w.b, byte(slices.Index(healths, e.Health)))
	w.time(e.Started)
	w.reachable(e.Networks, e.Links, e.Export, e.Ports)
	list(w, e.Published, func(p PublishedPort) {
		w.addr(p.HostIP)
		w.number(uint64(p.HostPort))
		w.number(uint64(p.Port))
		w.b = append(w.b, byte(slices.Index(protos, p.Proto)))
	})
}

func (r *reader) endpoint(id, host string) *Endpoint {
	e := &Endpoint{
		ID: id, Host: host, Container: r.text(), ContainerName: r.text(), Hostname: r.text(),
		Addr4: r.addr(), Addr6: r.addr(), App: r.text(), Service: r.text(),
		Slot: r.int(), Generation: r.number(), Task: r.text(),
	}
	var export bool
	r.flags(&e.Strict, &e.Internal, &e.Running, &export)
	e.Health = pick(r, healths)
	e.Started = r.time()
	e.Networks, e.Links, e.Export, e.Ports = r.reachable(export)
	e.Published = items(r, func() PublishedPort {
		return PublishedPort{HostIP: r.addr(), HostPort: r.port(), Port: r.port(), Proto: pick(r, protos)}
	})
	return e
}

func (w *writer) app(a *App) {
	w.number(a.Revision)
	w.flags(a.Strict)
	dict(w, a.Services, w.text, func(s Service) {
		w.flags(s.Export != nil)
		w.reachable(s.Networks, s.Links, s.Export, s.Ports)
		w.number(uint64(s.Replicas))
		dict(w, s.Generations, func(slot int) { w.number(uint64(slot)) }, w.number)
		list(w, s.Drained, func(slot int) { w.number(uint64(slot)) })
		w.text(s.ContainerName)
		w.text(s.Hostname)
	})
}

func (r *reader) app(name string) *App {
	a := &App{Name: name, Revision: r.number()}
	r.flags(&a.Strict)
	a.Services = entries(r, r.text, func() Service {
		var s Service
		var export bool
		r.flags(&export)
		s.Networks, s.Links, s.Export, s.Ports = r.reachable(export)
		s.Replicas = r.int()
		s.Generations = entries(r, r.int, r.number)
		s.Drained = items(r, r.int)
		s.ContainerName = r.text()
		s.Hostname = r.text()
		return s
	})
	return a
}

// reachable is what endpoints and services have in common.
func (w *writer) reachable(networks map[string][]string, links []Link, export *Export, ports []Port) {
	dict(w, networks, w.text, func(aliases []string) { list(w, aliases, w.text) })
	list(w, links, func(l Link) {
		w.text(l.App)
		w.text(l.Service)
		w.text(l.Alias)
	})
	if export != nil {
		list(w, export.To, w.text)
	}
	list(w, ports, func(p Port) {
		w.text(p.Name)
		w.number(uint64(p.Number))
		w.b = append(w.b, byte(slices.Index(protos, p.Proto)))
	})
}

func (r *reader) reachable(hasExport bool) (map[string][]string, []Link, *Export, []Port) {
	networks := entries(r, r.text, func() []string { return items(r, r.text) })
	links := items(r, func() Link { return Link{App: r.text(), Service: r.text(), Alias: r.text()} })
	var export *Export
	if hasExport {
		export = &Export{To: items(r, r.text)}
	}
	ports := items(r, func() Port { return Port{Name: r.text(), Number: r.port(), Proto: pick(r, protos)} })
	return networks, links, export, ports
}

var errShort = errors.New("ends too early")
