package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

func (m *mapping) volumes() map[string]Volume {
	volumes := map[string]Volume{}
	for key, v := range m.project.Volumes {
		volumes[key] = Volume{
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
	p := s.path.to("volumes")
	for i, in := range s.in.Volumes {
		if mount, ok := s.mount(in, s.report.item(p, i, len(s.in.Volumes))); ok {
			s.out.Mounts = append(s.out.Mounts, mount)
		}
	}
	sortMounts(s.out.Mounts)
}

func (s *serviceMapping) mount(in types.ServiceVolumeConfig, p keyPath) (Mount, bool) {
	mount := Mount{Type: in.Type, Source: in.Source, Target: in.Target, ReadOnly: in.ReadOnly}
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
		s.report.problem(p, "type %s is not supported, only volume, bind and tmpfs", in.Type)
		return mount, false
	}
	mount.Options = nonEmpty(options)
	return mount, true
}

// external warns of volumes that are somewhere already: nobody knows on which host,
// and Docker makes an empty one on any other.
func (s *serviceMapping) external() {
	if slices.ContainsFunc(s.out.Constraints, func(c Constraint) bool { return c.Op == "==" }) {
		return
	}
	p := s.path.to("volumes")
	for i, in := range s.in.Volumes {
		v, ok := s.project.Volumes[in.Source]
		if ok && in.Type == types.VolumeTypeVolume && bool(v.External) && (v.Driver == "" || v.Driver == "local") {
			s.report.warn(s.report.item(p, i, len(s.in.Volumes)),
				"%s is external: a host that does not have it gets an empty one; say who has it in deploy.placement.constraints", in.Source)
		}
	}
}

// volumeSource gives the mount Docker's name of the volume.
func (s *serviceMapping) volumeSource(mount *Mount, p keyPath) bool {
	if mount.Source == "" {
		return true
	}
	v, ok := s.project.Volumes[mount.Source]
	if !ok {
		s.report.problem(p, "there is no volume %s below volumes", mount.Source)
		return false
	}
	mount.Source = v.Name
	return true
}

func (s *serviceMapping) volumeOptions(in *types.ServiceVolumeVolume, options map[string]string, p keyPath) {
	if in == nil {
		return
	}
	if in.NoCopy {
		options["volume-nocopy"] = "true"
	}
	if in.Subpath != "" {
		options["volume-subpath"] = in.Subpath
		s.report.warn(p.to("volume", "subpath"), "needs Docker 26 or later on the hosts")
	}
	for key, value := range in.Labels {
		options["volume-label="+key] = value
	}
}

// bindOptions makes the folder on the host unless the file says otherwise, as
// `docker compose` does for both forms.
func (s *serviceMapping) bindOptions(in *types.ServiceVolumeBind, options map[string]string, p keyPath) (create bool, selinux string) {
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
	p = p.to("bind", "recursive")
	s.report.warn(p, "needs Docker 25 or later on the hosts")
	if create {
		s.report.warn(p, "`docker run` makes no folder then: it must be there on the hosts")
	}
	if selinux != "" {
		s.report.problem(p, "excludes selinux: `docker run` has no words for both")
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

func sortMounts(mounts []Mount) {
	sortBy(mounts, func(m Mount) string { return strings.Join([]string{m.Target, m.Type, m.Source}, "\x00") })
}
