package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/deploy"
	linker "tombolo/linker/api"
)

// VolumeRemover removes volumes from the Engine of a host, through the host's linker.
type VolumeRemover interface {
	// RemoveVolume returns nil if there is no such volume, and an error that wraps
	// linker/api.ErrInvalid if a container uses it.
	RemoveVolume(ctx context.Context, name string) error
}

// removeWait bounds the removal of a volume.
const removeWait = 30 * time.Second

// ListVolumes implements api.VolumeTable.
func (f *Framework) ListVolumes(ctx context.Context) (list []api.Volume, err error) {
	_, err = f.command(ctx, func() (uint64, error) {
		for _, v := range f.pinned() {
			list = append(list, v)
		}
		return 0, nil
	})
	slices.SortFunc(list, func(a, b api.Volume) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// RemoveVolume implements api.VolumeTable.
func (f *Framework) RemoveVolume(ctx context.Context, name string) (v api.Volume, err error) {
	var remover VolumeRemover
	_, err = f.command(ctx, func() (uint64, error) {
		if v, err = f.findVolume(name); err != nil {
			return 0, err
		}
		remover, err = f.remover(v)
		return 0, err
	})
	if err != nil {
		return v, err
	}
	bounded, cancel := context.WithTimeout(ctx, removeWait)
	defer cancel()
	switch err := remover.RemoveVolume(bounded, name); {
	case errors.Is(err, linker.ErrInvalid):
		return v, fmt.Errorf("%w: volume %s on %s: %w", api.ErrConflict, name, v.Host, err)
	case err != nil:
		return v, fmt.Errorf("%w: remove volume %s from %s: %w", api.ErrUnavailable, name, v.Host, err)
	}
	_, err = f.command(ctx, func() (uint64, error) { f.model.forgetVolume(name); return 0, nil })
	return v, err
}

// UnpinVolume implements api.VolumeTable.
func (f *Framework) UnpinVolume(ctx context.Context, name string) (v api.Volume, err error) {
	_, err = f.command(ctx, func() (uint64, error) {
		if v, err = f.findVolume(name); err != nil {
			return 0, err
		}
		switch {
		case !f.model.connected:
			return 0, fmt.Errorf("%w: without a master nobody can tell whether %s, which has the volume, is gone", api.ErrUnavailable, v.Host)
		case v.HostUp:
			return 0, fmt.Errorf("%w: %s, which has volume %s, is there: its data would be left behind; to remove it with its data: tombolo volume rm %s",
				api.ErrConflict, v.Host, name, name)
		}
		for _, t := range sorted(f.model.tasks) {
			if t.phase().Live() && slices.Contains(t.Volumes, name) {
				return 0, fmt.Errorf("%w: %s, which has volume %s, does not answer, but %s/%s.%d still counts as running there; try again when it is lost (tombolo -p %s ps)",
					api.ErrConflict, v.Host, name, t.App, t.Service, t.Slot, t.App)
			}
		}
		f.config.Log.Warn("volume no longer tied to its host", "volume", name, "host", v.Host)
		f.model.forgetVolume(name)
		return 0, nil
	})
	return v, err
}

func (f *Framework) findVolume(name string) (api.Volume, error) {
	v, ok := f.pinned()[name]
	if !ok {
		return v, fmt.Errorf("volume %q: %w: no instance has run with it (those that there are: tombolo volume ls)", name, api.ErrNotFound)
	}
	return v, nil
}

// remover returns who removes a volume that nothing uses, or why it cannot be removed.
func (f *Framework) remover(v api.Volume) (VolumeRemover, error) {
	c := f.linkers[v.Host]
	switch {
	case !v.HostUp:
		return nil, fmt.Errorf("%w: %s, which has volume %s, cannot be reached: bring it back, or, if it is gone for good: tombolo volume unpin %s",
			api.ErrConflict, v.Host, v.Name, v.Name)
	case len(v.UsedBy) > 0:
		return nil, fmt.Errorf("%w: volume %s is used by %s (to end the app: tombolo -p %s down)", api.ErrConflict, v.Name, strings.Join(v.UsedBy, ", "), v.App)
	case c != nil && c.up && c.api.Volumes != nil:
		return c.api.Volumes, nil
	}
	return nil, fmt.Errorf("%w: the framework cannot ask the linker of %s: on that host, docker volume rm %s; then tombolo up --recreate-volumes",
		api.ErrConflict, v.Host, v.Name)
}

// pinned returns the volumes that have a host, by name: those of the files and those of slots.
func (f *Framework) pinned() map[string]api.Volume {
	table := map[string]api.Volume{}
	for name, host := range f.model.pins {
		table[name] = api.Volume{Name: name, Host: host, HostUp: f.hostUp(host)}
	}
	for _, d := range f.model.apps {
		for _, v := range d.Wanted.Volumes {
			if row, ok := table[v.Name]; ok {
				row.App = d.Wanted.Name
				table[v.Name] = row
			}
		}
		for id, slot := range d.slots {
			f.addUses(table, d, id)
			for _, name := range slot.Kept {
				row := api.Volume{Name: name, App: d.Wanted.Name, Host: slot.Host, HostUp: f.hostUp(slot.Host), OfSlot: true}
				if f.model.tasks[taskID(slot.Key(), slot.Generation)] != nil {
					row.UsedBy = []string{instanceName(d, id)}
				}
				table[name] = row
			}
		}
	}
	for name, row := range table {
		slices.Sort(row.UsedBy)
		table[name] = row
	}
	return table
}

// addUses adds an instance that has a task, or waits for one, to its volumes.
func (f *Framework) addUses(table map[string]api.Volume, d *deployment, id deploy.SlotID) {
	if f.model.tasks[taskID(d.slots[id].Key(), d.slots[id].Generation)] == nil && !d.plan.Wanted[id] {
		return
	}
	for _, name := range localVolumes(d.Wanted, d.Wanted.Services[id.Service]) {
		if row, ok := table[name]; ok {
			row.UsedBy = append(row.UsedBy, instanceName(d, id))
			table[name] = row
		}
	}
}

func instanceName(d *deployment, id deploy.SlotID) string {
	return fmt.Sprintf("%s/%s.%d", d.Wanted.Name, id.Service, id.Slot)
}

// hostUp reports whether a host offers, or another linker sees that it is alive.
func (f *Framework) hostUp(name string) bool {
	h := f.model.hosts[name]
	return h != nil && h.agent != "" || len(f.linkers) > 0 && f.linkers.problem(name) == ""
}

// forgetVolume forgets where a volume is. Tasks that are lost tie it no longer.
func (m *model) forgetVolume(name string) {
	m.unpin(name)
	is := func(v string) bool { return v == name }
	for _, t := range m.tasks {
		if t.phase() == deploy.Lost && slices.ContainsFunc(t.Volumes, is) {
			t.Volumes = slices.DeleteFunc(slices.Clone(t.Volumes), is)
			m.batch.PutTask(t.Task)
		}
	}
	for _, d := range m.apps {
		for id, slot := range d.slots {
			if slices.ContainsFunc(slot.Kept, is) {
				slot.Kept = slices.DeleteFunc(slices.Clone(slot.Kept), is)
				m.putSlot(d, id, slot)
			}
		}
	}
}
