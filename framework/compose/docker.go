package compose

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// docker maps what needs no thought of ours to the flags of `docker run`.
// Every flag here is one that app.FormOf knows.
func (s *serviceMapping) docker() []app.Flag {
	f := &app.Flags{}
	c := &s.in
	f.Text("user", c.User)
	f.Text("workdir", c.WorkingDir)
	f.Text("domainname", c.DomainName)
	f.Text("cgroup-parent", c.CgroupParent)
	f.Text("cgroupns", c.Cgroup)
	f.Text("platform", c.Platform)
	f.Text("runtime", c.Runtime)
	f.Text("mac-address", s.mac())
	f.Each("cap-add", c.CapAdd)
	f.Each("cap-drop", c.CapDrop)
	f.Each("device-cgroup-rule", c.DeviceCgroupRules)
	f.Each("group-add", c.GroupAdd)
	f.Each("tmpfs", c.Tmpfs)
	f.Pairs("sysctl", c.Sysctls)
	f.Pairs("storage-opt", c.StorageOpt)
	f.Bool("privileged", c.Privileged)
	f.Bool("read-only", c.ReadOnly)
	f.Bool("tty", c.Tty)
	if c.Init != nil {
		f.Text("init", strconv.FormatBool(*c.Init))
	}
	s.isolation()
	s.annotations(f)
	s.namespaces(f)
	s.kernel(f)
	s.devices(f)
	s.security(f)
	s.logging(f)
	f.Each("dns", c.DNS)
	f.Each("dns-search", c.DNSSearch)
	f.Each("dns-option", c.DNSOpts)
	f.Each("add-host", c.ExtraHosts.AsList(":"))
	return f.Sorted()
}

// mac is the address of the one interface that a container has, whichever key says
// it.
func (s *serviceMapping) mac() string {
	mac := s.in.MacAddress
	p := s.path.To("mac_address")
	for _, name := range slices.Sorted(maps.Keys(s.in.Networks)) {
		at := s.in.Networks[name]
		if at == nil || at.MacAddress == "" {
			continue
		}
		p = s.path.To("networks", name, "mac_address")
		if mac != "" && mac != at.MacAddress {
			s.report.Problem(p, "a container has one interface, and it is to be %s too", mac)
		}
		mac = at.MacAddress
	}
	if mac != "" {
		s.report.Warn(p, "needs an Engine from 25 on, or a Docker command line before 25")
	}
	return mac
}

// isolation lets pass what means nothing on Linux.
func (s *serviceMapping) isolation() {
	if mode := s.in.Isolation; mode != "" && mode != "default" {
		s.report.Problem(s.path.To("isolation"), "%s is for Windows only", mode)
	}
}

func (s *serviceMapping) annotations(f *app.Flags) {
	if len(s.in.Annotations) > 0 {
		s.report.Warn(s.path.To("annotations"), "needs Docker 24 or later on the hosts")
	}
	f.Pairs("annotation", s.in.Annotations)
}

// namespaces maps the modes that need no other container: the service's
// instances, and those of another, may run anywhere.
func (s *serviceMapping) namespaces(f *app.Flags) {
	for _, ns := range []struct {
		key, flag, value string
	}{
		{"ipc", "ipc", s.in.Ipc},
		{"pid", "pid", s.in.Pid},
		{"uts", "uts", s.in.Uts},
		{"userns_mode", "userns", s.in.UserNSMode},
	} {
		form, _ := app.FormOf(ns.flag)
		if ns.value != "" && !slices.Contains(form.Words, ns.value) {
			s.report.Problem(s.path.To(ns.key), "%s is not supported, only %s", ns.value, strings.Join(form.Words, ", "))
			continue
		}
		f.Text(ns.flag, ns.value)
	}
}

// kernel maps what the kernel meters.
func (s *serviceMapping) kernel(f *app.Flags) {
	c := &s.in
	f.Int("cpu-period", c.CPUPeriod)
	f.Int("cpu-quota", c.CPUQuota)
	f.Int("cpu-rt-period", c.CPURTPeriod)
	f.Int("cpu-rt-runtime", c.CPURTRuntime)
	f.Int("cpu-shares", c.CPUShares)
	f.Text("cpuset-cpus", c.CPUSet)
	f.Int("memory-swap", int64(c.MemSwapLimit))
	if c.MemSwappiness != 0 || s.sources.has(s.path.To("mem_swappiness")) {
		f.Text("memory-swappiness", strconv.FormatInt(int64(c.MemSwappiness), 10))
	}
	f.Bool("oom-kill-disable", c.OomKillDisable)
	f.Int("oom-score-adj", c.OomScoreAdj)
	f.Int("shm-size", int64(c.ShmSize))
	for _, name := range slices.Sorted(maps.Keys(c.Ulimits)) {
		f.Text("ulimit", name+"="+ulimit(c.Ulimits[name]))
	}
	s.blkio(f)
}

func ulimit(u *types.UlimitsConfig) string {
	if u.Single != 0 {
		return strconv.Itoa(u.Single)
	}
	return fmt.Sprintf("%d:%d", u.Soft, u.Hard)
}

func (s *serviceMapping) blkio(f *app.Flags) {
	b := s.in.BlkioConfig
	if b == nil {
		return
	}
	f.Int("blkio-weight", int64(b.Weight))
	for _, d := range b.WeightDevice {
		f.Text("blkio-weight-device", fmt.Sprintf("%s:%d", d.Path, d.Weight))
	}
	for name, list := range map[string][]types.ThrottleDevice{
		"device-read-bps":   b.DeviceReadBps,
		"device-read-iops":  b.DeviceReadIOps,
		"device-write-bps":  b.DeviceWriteBps,
		"device-write-iops": b.DeviceWriteIOps,
	} {
		for _, d := range list {
			f.Text(name, fmt.Sprintf("%s:%d", d.Path, d.Rate))
		}
	}
}

func (s *serviceMapping) devices(f *app.Flags) {
	for _, d := range s.in.Devices {
		f.Text("device", device(d))
	}
	for i, d := range s.in.Gpus {
		s.gpus(f, d, s.path.To("gpus").Item(i))
	}
	if d := s.in.Deploy; d != nil && d.Resources.Reservations != nil {
		for i, device := range d.Resources.Reservations.Devices {
			s.gpus(f, device, s.path.To("deploy", "resources", "reservations", "devices").Item(i))
		}
	}
}

// device leaves out what Docker takes for granted. CDI names ("vendor/class=name")
// must stand alone.
func device(d types.DeviceMapping) string {
	switch {
	case d.Permissions != "" && d.Permissions != "rwm":
		return d.Source + ":" + d.Target + ":" + d.Permissions
	case d.Target != "" && d.Target != d.Source:
		return d.Source + ":" + d.Target
	}
	return d.Source
}

// gpus maps a device request to --gpus, whose value is a line of CSV.
func (s *serviceMapping) gpus(f *app.Flags, d types.DeviceRequest, p app.Path) {
	capabilities := slices.DeleteFunc(slices.Clone(d.Capabilities), func(c string) bool { return c == "gpu" })
	if len(d.Capabilities) > 0 && len(capabilities) == len(d.Capabilities) {
		s.report.Problem(p, "only devices with the capability gpu are supported: Docker's command line requests no others")
		return
	}
	fields := []string{}
	switch {
	case len(d.IDs) > 0:
		fields = append(fields, "device="+strings.Join(d.IDs, ","))
	case d.Count == -1, d.Count == 0:
		fields = append(fields, "count=all")
	default:
		fields = append(fields, fmt.Sprintf("count=%d", d.Count))
	}
	if d.Driver != "" {
		fields = append(fields, "driver="+d.Driver)
	}
	if len(capabilities) > 0 {
		fields = append(fields, "capabilities="+strings.Join(capabilities, ","))
	}
	if len(d.Options) > 0 {
		var options app.Flags
		options.Pairs("", d.Options)
		values := make([]string, len(options))
		for i, o := range options {
			values[i] = o.Value
		}
		fields = append(fields, "options="+strings.Join(values, ","))
	}
	f.CSV("gpus", fields)
}

func (s *serviceMapping) security(f *app.Flags) {
	for i, option := range s.in.SecurityOpt {
		p := s.path.To("security_opt").Item(i)
		name, file, _ := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
		if name == "seccomp" && file != "unconfined" && file != "builtin" {
			if !strings.HasPrefix(file, "/") {
				s.report.Problem(p, "the profile %s is not carried to the hosts: give a path that begins with / and put it there", file)
				continue
			}
			s.report.Warn(p, "the profile must be on every host")
		}
		f.Text("security-opt", option)
	}
}

func (s *serviceMapping) logging(f *app.Flags) {
	l := s.in.Logging
	if l == nil {
		return
	}
	switch l.Driver {
	case "", "json-file", "local", "journald":
	default:
		s.report.Warn(s.path.To("logging", "driver"), "`tombolo logs` cannot show what %s takes away", l.Driver)
	}
	f.Text("log-driver", l.Driver)
	f.Pairs("log-opt", l.Options)
}
