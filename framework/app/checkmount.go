package app

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// mountOptions are the options that `docker run --mount` knows for each type.
var mountOptions = map[string][]string{
	MountVolume: {"volume-nocopy", "volume-subpath", "volume-label"},
	MountBind:   {"bind-propagation", "bind-recursive"},
	MountTmpfs:  {"tmpfs-size", "tmpfs-mode"},
}

func (c *serviceCheck) mounts() {
	seen := map[string]bool{}
	p := c.path.To("volumes")
	for _, m := range c.Mounts {
		if !path.IsAbs(m.Target) || m.Target == "/" || path.Clean(m.Target) != m.Target {
			c.Problem(p, "target %q is not a clean path that begins with /", m.Target)
		}
		if seen[m.Target] {
			c.Problem(p, "two volumes have the target %s", m.Target)
		}
		seen[m.Target] = true
		c.mountSource(m, p)
		c.mountOptions(m, p)
	}
}

func (c *serviceCheck) mountSource(m Mount, p Path) {
	switch {
	case m.Target == "/etc/resolv.conf":
		c.Problem(p, "Tombolo itself mounts /etc/resolv.conf")
	case m.Type == MountVolume && m.Source != "" && !dockerName.MatchString(m.Source):
		c.Problem(p, "%q is not a valid volume name", m.Source)
	case m.Type == MountBind && (!path.IsAbs(m.Source) || strings.Contains(m.Source+m.Target, ":") && (m.Create || m.SELinux != "")):
		c.Problem(p, "%q is not a path on a host that begins with / and has no colon", m.Source)
	case m.Type == MountTmpfs && m.Source != "":
		c.Problem(p, "a tmpfs has no source")
	}
	c.oneOf(p, "type", m.Type, MountVolume, MountBind, MountTmpfs)
}

func (c *serviceCheck) mountOptions(m Mount, p Path) {
	for _, key := range slices.Sorted(maps.Keys(m.Options)) {
		name, label, _ := strings.Cut(key, "=")
		if !slices.Contains(mountOptions[m.Type], name) || label != "" && name != "volume-label" {
			c.Problem(p, "option %q is not supported", key)
		}
	}
	if m.Options["bind-recursive"] != "" && (m.Create || m.SELinux != "") {
		c.Problem(p, "option bind-recursive cannot be combined with create_host_path and selinux")
	}
	c.oneOf(p, "selinux", m.SELinux, "", "z", "Z")
}
