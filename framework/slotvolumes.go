package framework

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
	"tombolo/framework/local"
	"tombolo/framework/place"
	"tombolo/framework/store"
)

// The volumes of a slot are those that nobody has named: the anonymous ones of its file and the VOLUMEs
// of its image. They get names from its slot, so that its next container finds the data again, as
// with Compose. An app that was down and comes up again has new slots and so new volumes.

// AppLabel is the label of a slot's volume that holds the name of its app.
const AppLabel = "tombolo.app"

// slotVolumes describes the volumes of the task's slot.
func slotVolumes(t store.Task, service app.Service) local.SlotVolumes {
	v := local.SlotVolumes{
		Prefix: fmt.Sprintf("%s_%s-%d.g%d_", t.App, t.Service, t.Slot, t.Born),
		Labels: map[string]string{AppLabel: t.App},
	}
	for _, m := range service.Mounts {
		v.Mounted = append(v.Mounted, m.Target)
	}
	for _, f := range service.Docker {
		if f.Name == "tmpfs" {
			target, _, _ := strings.Cut(f.Value, ":")
			v.Mounted = append(v.Mounted, target)
		}
	}
	return v
}

// withSlotVolumes returns the app with names for the anonymous volumes of the task's service.
func withSlotVolumes(wanted app.App, t store.Task) app.App {
	s := wanted.Services[t.Service]
	anonymous := func(m app.Mount) bool { return m.Type == app.MountVolume && m.Source == "" }
	if !slices.ContainsFunc(s.Mounts, anonymous) {
		return wanted
	}
	names := slotVolumes(t, s)
	s.Mounts = slices.Clone(s.Mounts)
	wanted.Volumes = maps.Clone(wanted.Volumes)
	if wanted.Volumes == nil {
		wanted.Volumes = map[string]app.Volume{}
	}
	for i, m := range s.Mounts {
		if anonymous(m) {
			name := names.Name(m.Target)
			s.Mounts[i].Source = name
			wanted.Volumes[name] = app.Volume{Name: name, Labels: names.Labels}
		}
	}
	wanted.Services = map[string]app.Service{t.Service: s}
	return wanted
}

// keptVolumes returns the names of the slot's volumes that the task's container has, from what docker
// inspect prints of it.
func keptVolumes(t store.Task, status mesos.TaskStatus) (names []string) {
	if status.GetState() != mesos.TASK_RUNNING {
		return nil
	}
	var inspected []struct{ Mounts []struct{ Type, Name string } }
	if err := json.Unmarshal(status.Data, &inspected); err != nil {
		return nil // not every agent sends it
	}
	prefix := slotVolumes(t, app.Service{}).Prefix
	for _, c := range inspected {
		for _, m := range c.Mounts {
			if m.Type == "volume" && strings.HasPrefix(m.Name, prefix) {
				names = append(names, m.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// keepWait is how long a slot waits for a host that has its volumes and does not offer. After that it
// starts on another host with empty ones: only volumes with a name in the file hold up their service.
const keepWait = 2 * time.Minute

// keeper returns the host on which the next task of a slot has to run because the slot's volumes are
// there; "": on any.
func (p *planner) keeper(slot store.Slot, service app.Service, now time.Time) string {
	h := p.model.hosts[slot.Host]
	if len(slot.Kept) == 0 || h == nil || !place.Eligible(place.Host{Name: h.name, Attributes: h.attributes}, service.Constraints) {
		return ""
	}
	if p.model.tasks[taskID(slot.Key(), slot.Generation)] != nil {
		return "" // the last task is lost, because its host is unreachable
	}
	if until := slot.Ended.Add(keepWait); h.agent == "" {
		if !now.Before(until) {
			return ""
		}
		p.out.wakeAt(until)
	}
	return slot.Host
}
