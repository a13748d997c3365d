package framework

import (
	"slices"

	"tombolo/framework/app"
)

// localVolumes returns the names of a service's volumes that exist on one host only.
func localVolumes(wanted app.App, service app.Service) (names []string) {
	byName := map[string]app.Volume{}
	for _, v := range wanted.Volumes {
		byName[v.Name] = v
	}
	for _, m := range service.Mounts {
		if m.Type == app.MountVolume && m.Source != "" && !shared(byName[m.Source]) {
			names = append(names, m.Source)
		}
	}
	return names
}

// shared reports whether all hosts find the same data in a volume: it has a driver
// other than Docker's own, or the kernel mounts a network file system.
func shared(v app.Volume) bool {
	if v.Driver != "" && v.Driver != "local" {
		return true
	}
	return slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "ceph"}, v.Options["type"])
}
