package framework

import (
	"maps"
	"slices"

	"tombolo/framework/app"
)

// homes are the hosts that hold volumes: where a task has run with one, and where
// one may be about to.
func (f *Framework) homes() map[string]string {
	homes := maps.Clone(f.pins)
	for _, t := range f.tasks {
		for _, volume := range t.Volumes {
			if homes[volume] == "" {
				homes[volume] = t.Host
			}
		}
	}
	return homes
}

// pin ties volumes to the host where a task runs: from then on there may be data.
// Before, there is an image to be found, and a container to be made.
func (f *Framework) pin(t *task) {
	for _, volume := range t.Volumes {
		if f.pins[volume] == "" {
			f.pins[volume] = t.Host
			f.batch.PutPin(volume, t.Host)
		}
	}
}

// unpin forgets where an app's own volumes are.
func (f *Framework) unpin(a app.App) {
	for _, v := range a.Volumes {
		if !v.External {
			f.batch.DeletePin(v.Name)
			delete(f.pins, v.Name)
		}
	}
}

// tied are the volumes of a service that are on one host only.
func (f *Framework) tied(name string, service app.Service) []string {
	byName := map[string]app.Volume{}
	for _, v := range f.apps[name].App.App.Volumes {
		byName[v.Name] = v
	}
	var names []string
	for _, m := range service.Mounts {
		if m.Type == app.MountVolume && m.Source != "" && !remote(byName[m.Source]) {
			names = append(names, m.Source)
		}
	}
	return names
}

// remote reports whether all hosts find the same data in a volume: another driver
// than Docker's own sees to that, or the kernel, which mounts a network's files.
func remote(v app.Volume) bool {
	if v.Driver != "" && v.Driver != "local" {
		return true
	}
	return slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "ceph"}, v.Options["type"])
}
