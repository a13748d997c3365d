package compose

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

func (m *mapping) volumes() map[string]app.Volume {
	volumes := map[string]app.Volume{}
	for key, v := range m.project.Volumes {
		volumes[key] = app.Volume{
			Name:     v.Name,
			External: bool(v.External),
			Driver:   v.Driver,
			Options:  nonEmpty(map[string]string(v.DriverOpts)),
			Labels:   nonEmpty(map[string]string(v.Labels)),
		}
	}
	return nonEmpty(volumes)
}

func (s *serviceMapping) mounts() {
	p := s.path.To("volumes")
	for i, in := range s.in.Volumes {
		if mount, ok := s.mount(in, s.item(p, i, len(s.in.Volumes))); ok {
			s.out.Mounts = append(s.out.Mounts, mount)
		}
	}
	slices.SortStableFunc(s.out.Mounts, func(a, b app.Mount) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Source, b.Source))
	})
}

func (s *serviceMapping) mount(in types.ServiceVolumeConfig, p app.Path) (app.Mount, bool) {
	mount := app.Mount{Type: in.Type, Source: in.Source, Target: in.Target, ReadOnly: in.ReadOnly}
	options := map[string]string{}
	switch in.Type {
	case types.VolumeTypeVolume:
		if v, ok := s.project.Volumes[in.Source]; ok {
			mount.Source = v.Name
		} else if in.Source != "" {
			s.Problem(p, "there is no volume %s below volumes", in.Source)
			return mount, false
		}
		volumeOptions(in.Volume, options)
	case types.VolumeTypeBind:
		mount.Create, mount.SELinux = s.bindOptions(in.Bind, options, p.To("bind", "recursive"))
	case types.VolumeTypeTmpfs:
		tmpfsOptions(in.Tmpfs, options)
	default:
		s.Problem(p, "type %s cannot be honoured: %s", in.Type, remark(s.path.To("volumes", "[]", "type")))
		return mount, false
	}
	mount.Options = nonEmpty(options)
	return mount, true
}

// externalVolumes warns about volumes that exist already, if no constraint names their
// host. Tombolo does not know the host, and Docker makes an empty volume on any other.
func (s *serviceMapping) externalVolumes() {
	if slices.ContainsFunc(s.out.Constraints, func(c app.Constraint) bool { return c.Op == "==" }) {
		return
	}
	p := s.path.To("volumes")
	for i, in := range s.in.Volumes {
		v, ok := s.project.Volumes[in.Source]
		if ok && in.Type == types.VolumeTypeVolume && bool(v.External) && (v.Driver == "" || v.Driver == "local") {
			s.Warn(s.item(p, i, len(s.in.Volumes)), "%s is external: %s", in.Source, remark(app.Path{"volumes", in.Source, "external"}))
		}
	}
}

func volumeOptions(in *types.ServiceVolumeVolume, options map[string]string) {
	in = cmp.Or(in, &types.ServiceVolumeVolume{})
	if in.NoCopy {
		options["volume-nocopy"] = "true"
	}
	if in.Subpath != "" {
		options["volume-subpath"] = in.Subpath
	}
	for key, value := range in.Labels {
		options["volume-label="+key] = value
	}
}

// bindOptions reports whether to make the folder on the host, which is the default as in
// `docker compose`, and the SELinux label. recursive is the path of that key.
func (s *serviceMapping) bindOptions(in *types.ServiceVolumeBind, options map[string]string, recursive app.Path) (create bool, selinux string) {
	in = cmp.Or(in, &types.ServiceVolumeBind{CreateHostPath: true})
	if in.Propagation != "" {
		options["bind-propagation"] = in.Propagation
	}
	create, selinux = bool(in.CreateHostPath), in.SELinux
	if in.Recursive == "" {
		return create, selinux
	}
	options["bind-recursive"] = in.Recursive
	if create {
		s.Warn(recursive, "with it, `docker run` does not make the folder: make it on the hosts")
	}
	if selinux != "" {
		s.Problem(recursive, "cannot be combined with selinux: `docker run` takes only one of them")
	}
	return false, ""
}

func tmpfsOptions(in *types.ServiceVolumeTmpfs, options map[string]string) {
	in = cmp.Or(in, &types.ServiceVolumeTmpfs{})
	if in.Size != 0 {
		options["tmpfs-size"] = strconv.FormatInt(int64(in.Size), 10)
	}
	if in.Mode != 0 {
		options["tmpfs-mode"] = fmt.Sprintf("%#o", in.Mode)
	}
}
