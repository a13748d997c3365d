package framework

import (
	"maps"

	"tombolo/framework/app"
)

// pin ties volumes to the host of a task that runs, because there may be data from then
// on. Before, the image may not be found or the container not start.
func (m *model) pin(t *task) {
	for _, volume := range t.Volumes {
		if m.pins[volume] == "" {
			m.pins[volume] = t.Host
			m.dirty.market = true
			m.batch.PutPin(volume, t.Host)
		}
	}
}

// unpinAll forgets the hosts of an app's own volumes.
func (m *model) unpinAll(volumes map[string]app.Volume) {
	for _, v := range volumes {
		if !v.External {
			m.unpin(v.Name)
		}
	}
}

// unpin forgets the host of a volume.
func (m *model) unpin(volume string) {
	m.dirty.market = true
	m.batch.DeletePin(volume)
	delete(m.pins, volume)
}

// volumeHosts returns the host of each volume: where a task has run with it, or where
// one that was launched may be about to.
func (m *model) volumeHosts() map[string]string {
	hosts := maps.Clone(m.pins)
	for _, t := range m.tasks {
		for _, volume := range t.Volumes {
			if hosts[volume] == "" {
				hosts[volume] = t.Host
			}
		}
	}
	return hosts
}
