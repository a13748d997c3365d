package framework

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
	"slices"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

// appRecords versions the app records and their tombstones: the framework is the only
// writer of the records that name it as owner. It is pure: its methods return the
// records that the framework delivers to linkers.
type appRecords struct {
	owner      string                   // the framework ID; "": the framework has none yet
	epoch, seq uint64                   // of the last record
	published  map[string]record.Record // the newest of each app
	tombstones map[string]record.Record // of removed apps
}

func newAppRecords() *appRecords {
	return &appRecords{published: map[string]record.Record{}, tombstones: map[string]record.Record{}}
}

func (r *appRecords) setOwner(id string) {
	r.owner = id
	clear(r.published)
}

// update returns new records of the apps that differ from what is published.
func (r *appRecords) update(apps []*record.App) (deliver []record.Record) {
	for _, content := range apps {
		if reflect.DeepEqual(content, r.published[content.Name].App) {
			continue
		}
		rec := r.next(content.Name)
		rec.App = content
		r.published[content.Name] = rec
		delete(r.tombstones, content.Name)
		deliver = append(deliver, rec)
	}
	return deliver
}

// remove returns a tombstone, which takes the app out of all catalogs.
func (r *appRecords) remove(name string) record.Record {
	rec := r.next(name)
	rec.Deleted = true
	r.tombstones[name] = rec
	delete(r.published, name)
	return rec
}

// sweep returns tombstones for the apps of a catalog, given as app -> owner, that are
// ours and not wanted: an earlier run removed such an app and ended before it could tell
// any linker. Apps of other frameworks stay.
func (r *appRecords) sweep(owners map[string]string, wanted func(app string) bool) (deliver []record.Record) {
	for name, owner := range owners {
		if _, removed := r.tombstones[name]; owner == r.owner && !wanted(name) && !removed {
			deliver = append(deliver, r.remove(name))
		}
	}
	return deliver
}

// stale notes that a linker has a newer record than rec, because our store was lost
// or the clock ran backwards. It raises the epoch and returns the tombstones again;
// update returns all records again. It reports false if the epoch was raised since rec
// was made.
func (r *appRecords) stale(rec record.Record) (deliver []record.Record, raised bool) {
	if rec.Version.Epoch < r.epoch {
		return nil, false
	}
	r.epoch += max(r.epoch/1000, 1)
	clear(r.published)
	for _, name := range slices.Collect(maps.Keys(r.tombstones)) {
		deliver = append(deliver, r.remove(name))
	}
	return deliver, true
}

// all returns every record and tombstone, for a linker that may have none of them.
func (r *appRecords) all() (deliver []record.Record) {
	return slices.AppendSeq(slices.Collect(maps.Values(r.published)), maps.Values(r.tombstones))
}

func (r *appRecords) next(name string) record.Record {
	r.seq++
	return record.Record{
		Key:     record.Key{Kind: record.KindApp, Name: name},
		Owner:   cmp.Or(r.owner, "framework"),
		Version: record.Version{Epoch: r.epoch, Seq: r.seq},
	}
}

// appRecord describes an app to the linkers: everything that the labels of its
// containers cannot say.
func appRecord(d *deployment, tasks []*task) *record.App {
	out := &record.App{
		Name: d.Wanted.Name, Revision: d.Revision, Strict: d.Wanted.Strict,
		Services: map[string]record.Service{},
	}
	for name, s := range d.Wanted.Services {
		out.Services[name] = record.Service{
			Networks: s.Networks, Links: links(s.Links), Export: (*record.Export)(s.Export), Ports: ports(s.Expose),
			ContainerName: s.ContainerName, Hostname: s.Hostname,
			Replicas: s.Replicas, Generations: map[int]uint64{}, DNSRR: s.DNSRR,
			Ingress: ingress(s.Ports),
		}
	}
	for id, slot := range d.slots {
		s, ok := out.Services[id.Service]
		if !ok || slot.Generation == 0 {
			continue
		}
		s.Generations[id.Slot] = slot.Generation
		if d.Wanted.Services[id.Service].Global {
			s.Replicas++ // the file does not say how many
		}
		out.Services[id.Service] = s
	}
	for _, t := range tasks {
		s, ok := out.Services[t.Service]
		if ok && t.Killing && t.Generation == s.Generations[t.Slot] {
			s.Drained = append(s.Drained, t.Slot)
			slices.Sort(s.Drained)
			out.Services[t.Service] = s
		}
	}
	return out
}

// ingress returns the ports that every host serves.
func ingress(ports []app.Port) (out []record.PublishedPort) {
	for _, p := range app.Ingress(ports) {
		host, _ := netip.ParseAddr(p.HostIP) // the zero Addr, every address, if there is none
		out = append(out, record.PublishedPort{HostIP: host, HostPort: p.Host, Port: p.Target, Proto: p.Proto})
	}
	return out
}

func links(in []app.Link) (out []record.Link) {
	for _, l := range in {
		out = append(out, record.Link(l))
	}
	return out
}

func ports(in []app.Expose) (out []record.Port) {
	for _, p := range in {
		out = append(out, record.Port{Name: p.Name, Number: p.Number, Proto: p.Proto})
	}
	return out
}
