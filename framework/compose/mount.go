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
		if mount, ok := s.mount(in, s.report.item(p, i, len(s.in.Volumes))); ok {
			s.out.Mounts = append(s.out.Mounts, mount)
		}
	}
	sortMounts(s.out.Mounts)
}

func (s *serviceMapping) mount(in types.ServiceVolumeConfig, p app.Path) (app.Mount, bool) {
	mount := app.Mount{Type: in.Type, Source: in.Source, Target: in.Target, ReadOnly: in.ReadOnly}
	options := map[string]string{}
	switch in.Type {
	case types.VolumeTypeVolume:
		if !s.volumeSource(&mount, p) {
			return mount, false
		}
		s.volumeOptions(in.Volume, options, p)
	case types.VolumeTypeBind:
		mount.Create, mount.SELinux = s.bindOptions(in.Bind, options, p)
	case types.VolumeTypeTmpfs:
		tmpfsOptions(in.Tmpfs, options)
	default:
		s.report.Problem(p, "type %s is not supported, only volume, bind and tmpfs", in.Type)
		return mount, false
	}
	mount.Options = nonEmpty(options)
	return mount, true
}

// external warns of volumes that are somewhere already: nobody knows on which host,
// and Docker makes an empty one on any other.
func (s *serviceMapping) external() {
	if slices.ContainsFunc(s.out.Constraints, func(c app.Constraint) bool { return c.Op == "==" }) {
		return
	}
	p := s.path.To("volumes")
	for i, in := range s.in.Volumes {
		v, ok := s.project.Volumes[in.Source]
		if ok && in.Type == types.VolumeTypeVolume && bool(v.External) && (v.Driver == "" || v.Driver == "local") {
			s.report.Warn(s.report.item(p, i, len(s.in.Volumes)),
				"%s is external: a host that does not have it gets an empty one; say who has it in deploy.placement.constraints", in.Source)
		}
	}
}

// volumeSource gives the mount Docker's name of the volume.
func (s *serviceMapping) volumeSource(mount *app.Mount, p app.Path) bool {
	if mount.Source == "" {
		return true
	}
	v, ok := s.project.Volumes[mount.Source]
	if !ok {
		s.report.Problem(p, "there is no volume %s below volumes", mount.Source)
		return false
	}
	mount.Source = v.Name
	return true
}

func (s *serviceMapping) volumeOptions(in *types.ServiceVolumeVolume, options map[string]string, p app.Path) {
	if in == nil {
		return
	}
	if in.NoCopy {
		options["volume-nocopy"] = "true"
	}
	if in.Subpath != "" {
		options["volume-subpath"] = in.Subpath
		s.report.Warn(p.To("volume", "subpath"), "needs Docker 26 or later on the hosts")
	}
	for key, value := range in.Labels {
		options["volume-label="+key] = value
	}
}

// bindOptions makes the folder on the host unless the file says otherwise, as
// `docker compose` does for both forms.
func (s *serviceMapping) bindOptions(in *types.ServiceVolumeBind, options map[string]string, p app.Path) (create bool, selinux string) {
	if in == nil {
		return true, ""
	}
	if in.Propagation != "" {
		options["bind-propagation"] = in.Propagation
	}
	create, selinux = bool(in.CreateHostPath), in.SELinux
	if in.Recursive == "" {
		return create, selinux
	}
	options["bind-recursive"] = in.Recursive
	p = p.To("bind", "recursive")
	s.report.Warn(p, "needs Docker 25 or later on the hosts")
	if create {
		s.report.Warn(p, "`docker run` makes no folder then: it must be there on the hosts")
	}
	if selinux != "" {
		s.report.Problem(p, "excludes selinux: `docker run` has no words for both")
	}
	return false, ""
}

func tmpfsOptions(in *types.ServiceVolumeTmpfs, options map[string]string) {
	if in == nil {
		return
	}
	if in.Size != 0 {
		options["tmpfs-size"] = strconv.FormatInt(int64(in.Size), 10)
	}
	if in.Mode != 0 {
		options["tmpfs-mode"] = fmt.Sprintf("%#o", in.Mode)
	}
}

func sortMounts(mounts []app.Mount) {
	slices.SortStableFunc(mounts, func(a, b app.Mount) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Source, b.Source))
	})
}
