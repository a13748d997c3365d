package framework

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

// spread is how many linkers are handed a changed record; gossip does the rest.
const spread = 3

// record hands out the app records that have changed.
func (f *Framework) record() {
	if len(f.linkers) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(f.apps)) {
		d := f.apps[name]
		content := f.appRecord(d)
		raw, err := json.Marshal(content)
		if err != nil || bytes.Equal(raw, d.sent) {
			continue // it is made of strings and numbers: there is no error
		}
		d.sent = raw
		d.record = f.versioned(name)
		d.record.App = content
		delete(f.graves, name)
		f.handOut(d.record)
	}
}

func (f *Framework) versioned(name string) record.Record {
	f.seq++
	return record.Record{
		Key:     record.Key{Kind: record.KindApp, Name: name},
		Owner:   cmp.Or(f.id, "framework"),
		Version: record.Version{Epoch: f.epoch, Seq: f.seq},
	}
}

// entomb says that an app is no more.
func (f *Framework) entomb(name string) {
	tombstone := f.versioned(name)
	tombstone.Deleted = true
	f.graves[name] = tombstone
	f.handOut(tombstone)
}

func (f *Framework) handOut(rec record.Record) {
	f.then(func() {
		given := 0
		for _, name := range slices.Sorted(maps.Keys(f.linkers)) {
			if w := f.linkers[name]; w.up && given < spread {
				given++
				w.put(rec)
			}
		}
	})
}

// handAll gives a linker that has appeared all that there is.
func (f *Framework) handAll(w *watcher) {
	f.then(func() {
		for _, d := range f.apps {
			if d.sent != nil {
				w.put(d.record)
			}
		}
		for _, tombstone := range f.graves {
			w.put(tombstone)
		}
	})
}

// sweep entombs the apps of a catalog that nobody wants: we removed them, and died
// before we could say so. Other frameworks' are theirs, and while we do not lead, one
// that does may want what we do not know of.
func (f *Framework) sweep(s *record.Snapshot) {
	if !f.connected {
		return
	}
	for name, owner := range s.Owners {
		if _, buried := f.graves[name]; owner == f.id && f.apps[name] == nil && !buried {
			f.entomb(name)
		}
	}
}

// outdated takes note that a linker knows a newer record than rec: our store was
// lost, or clocks ran backwards. All records get a larger epoch.
func (f *Framework) outdated(rec record.Record) {
	if rec.Version.Epoch < f.epoch {
		return // already seen to
	}
	f.epoch += max(f.epoch/1000, 1)
	f.batch.SetEpoch(f.epoch)
	f.Log.Warn("a linker knows newer app records; going past them", "app", rec.Name, "epoch", f.epoch)
	for _, d := range f.apps {
		d.sent = nil
	}
	for _, name := range slices.Collect(maps.Keys(f.graves)) {
		f.entomb(name)
	}
}

// appRecord is what the containers' labels cannot say of an app.
func (f *Framework) appRecord(d *deployment) *record.App {
	out := &record.App{
		Name: d.App.App.Name, Revision: d.Revision, Strict: d.App.App.Strict,
		Services: map[string]record.Service{},
	}
	for name, s := range d.App.App.Services {
		out.Services[name] = record.Service{
			Networks: s.Networks, Links: links(s.Links), Export: export(s.Export), Ports: ports(s.Expose),
			ContainerName: s.ContainerName, Hostname: s.Hostname,
			Replicas: s.Replicas, Generations: map[int]uint64{},
		}
	}
	for id, slot := range d.slots {
		if s, ok := out.Services[id.Service]; ok && slot.Generation > 0 {
			s.Generations[id.Slot] = slot.Generation
			if d.App.App.Services[id.Service].Global {
				s.Replicas++
				out.Services[id.Service] = s
			}
		}
	}
	for _, t := range f.tasks {
		s, ok := out.Services[t.Service]
		if ok && t.App == out.Name && t.Killing && t.Generation == s.Generations[t.Slot] {
			s.Drained = append(s.Drained, t.Slot)
			slices.Sort(s.Drained)
			out.Services[t.Service] = s
		}
	}
	return out
}

func links(in []app.Link) (out []record.Link) {
	for _, l := range in {
		out = append(out, record.Link(l))
	}
	return out
}

func export(in *app.Export) *record.Export {
	if in == nil {
		return nil
	}
	return &record.Export{To: in.To}
}

func ports(in []app.Expose) (out []record.Port) {
	for _, p := range in {
		out = append(out, record.Port{Name: p.Name, Number: p.Number, Proto: p.Proto})
	}
	return out
}
