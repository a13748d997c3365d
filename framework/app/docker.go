package app

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// docker maps what needs no thought of ours to the flags of `docker run`.
// Every flag here has a line in runFlags.
func (s *serviceMapping) docker() []Flag {
	f := &flags{}
	c := &s.in
	f.text("user", c.User)
	f.text("workdir", c.WorkingDir)
	f.text("domainname", c.DomainName)
	f.text("cgroup-parent", c.CgroupParent)
	f.text("cgroupns", c.Cgroup)
	f.text("platform", c.Platform)
	f.text("runtime", c.Runtime)
	f.text("mac-address", s.mac())
	f.each("cap-add", c.CapAdd)
	f.each("cap-drop", c.CapDrop)
	f.each("device-cgroup-rule", c.DeviceCgroupRules)
	f.each("group-add", c.GroupAdd)
	f.each("tmpfs", c.Tmpfs)
	f.pairs("sysctl", c.Sysctls)
	f.pairs("storage-opt", c.StorageOpt)
	f.truth("privileged", c.Privileged)
	f.truth("read-only", c.ReadOnly)
	f.truth("tty", c.Tty)
	if c.Init != nil {
		f.text("init", strconv.FormatBool(*c.Init))
	}
	s.isolation()
	s.annotations(f)
	s.namespaces(f)
	s.kernel(f)
	s.devices(f)
	s.security(f)
	s.logging(f)
	f.each("dns", c.DNS)
	f.each("dns-search", c.DNSSearch)
	f.each("dns-option", c.DNSOpts)
	f.each("add-host", c.ExtraHosts.AsList(":"))
	return f.sorted()
}

// mac is the address of the one interface that a container has, whichever key says
// it.
func (s *serviceMapping) mac() string {
	mac := s.in.MacAddress
	p := s.path.to("mac_address")
	for _, name := range slices.Sorted(maps.Keys(s.in.Networks)) {
		at := s.in.Networks[name]
		if at == nil || at.MacAddress == "" {
			continue
		}
		p = s.path.to("networks", name, "mac_address")
		if mac != "" && mac != at.MacAddress {
			s.report.problem(p, "a container has one interface, and it is to be %s too", mac)
		}
		mac = at.MacAddress
	}
	if mac != "" {
		s.report.warn(p, "needs an Engine from 25 on, or a Docker command line before 25")
	}
	return mac
}

// isolation lets pass what means nothing on Linux.
func (s *serviceMapping) isolation() {
	if mode := s.in.Isolation; mode != "" && mode != "default" {
		s.report.problem(s.path.to("isolation"), "%s is for Windows only", mode)
	}
}

func (s *serviceMapping) annotations(f *flags) {
	if len(s.in.Annotations) > 0 {
		s.report.warn(s.path.to("annotations"), "needs Docker 24 or later on the hosts")
	}
	f.pairs("annotation", s.in.Annotations)
}

// namespaces maps the modes that need no other container: the service's
// instances, and those of another, may run anywhere.
func (s *serviceMapping) namespaces(f *flags) {
	for _, ns := range []struct {
		key, flag, value string
	}{
		{"ipc", "ipc", s.in.Ipc},
		{"pid", "pid", s.in.Pid},
		{"uts", "uts", s.in.Uts},
		{"userns_mode", "userns", s.in.UserNSMode},
	} {
		if ns.value != "" && !slices.Contains(runFlags[ns.flag].words, ns.value) {
			s.report.problem(s.path.to(ns.key), "%s is not supported, only %s", ns.value, strings.Join(runFlags[ns.flag].words, ", "))
			continue
		}
		f.text(ns.flag, ns.value)
	}
}

// kernel maps what the kernel meters.
func (s *serviceMapping) kernel(f *flags) {
	c := &s.in
	f.number("cpu-period", c.CPUPeriod)
	f.number("cpu-quota", c.CPUQuota)
	f.number("cpu-rt-period", c.CPURTPeriod)
	f.number("cpu-rt-runtime", c.CPURTRuntime)
	f.number("cpu-shares", c.CPUShares)
	f.text("cpuset-cpus", c.CPUSet)
	f.number("memory-swap", int64(c.MemSwapLimit))
	if c.MemSwappiness != 0 || s.sources.has(s.path.to("mem_swappiness")) {
		f.text("memory-swappiness", strconv.FormatInt(int64(c.MemSwappiness), 10))
	}
	f.truth("oom-kill-disable", c.OomKillDisable)
	f.number("oom-score-adj", c.OomScoreAdj)
	f.number("shm-size", int64(c.ShmSize))
	for _, name := range slices.Sorted(maps.Keys(c.Ulimits)) {
		f.text("ulimit", name+"="+ulimit(c.Ulimits[name]))
	}
	s.blkio(f)
}

func ulimit(u *types.UlimitsConfig) string {
	if u.Single != 0 {
		return strconv.Itoa(u.Single)
	}
	return fmt.Sprintf("%d:%d", u.Soft, u.Hard)
}

func (s *serviceMapping) blkio(f *flags) {
	b := s.in.BlkioConfig
	if b == nil {
		return
	}
	f.number("blkio-weight", int64(b.Weight))
	for _, d := range b.WeightDevice {
		f.text("blkio-weight-device", fmt.Sprintf("%s:%d", d.Path, d.Weight))
	}
	for name, list := range map[string][]types.ThrottleDevice{
		"device-read-bps":   b.DeviceReadBps,
		"device-read-iops":  b.DeviceReadIOps,
		"device-write-bps":  b.DeviceWriteBps,
		"device-write-iops": b.DeviceWriteIOps,
	} {
		for _, d := range list {
			f.text(name, fmt.Sprintf("%s:%d", d.Path, d.Rate))
		}
	}
}

func (s *serviceMapping) devices(f *flags) {
	for _, d := range s.in.Devices {
		f.text("device", device(d))
	}
	for i, d := range s.in.Gpus {
		s.gpus(f, d, s.path.to("gpus").item(i))
	}
	if d := s.in.Deploy; d != nil && d.Resources.Reservations != nil {
		for i, device := range d.Resources.Reservations.Devices {
			s.gpus(f, device, s.path.to("deploy", "resources", "reservations", "devices").item(i))
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
func (s *serviceMapping) gpus(f *flags, d types.DeviceRequest, p keyPath) {
	capabilities := slices.DeleteFunc(slices.Clone(d.Capabilities), func(c string) bool { return c == "gpu" })
	if len(d.Capabilities) > 0 && len(capabilities) == len(d.Capabilities) {
		s.report.problem(p, "only devices with the capability gpu are supported: Docker's command line requests no others")
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
		var options flags
		options.pairs("", d.Options)
		values := make([]string, len(options))
		for i, o := range options {
			values[i] = o.Value
		}
		fields = append(fields, "options="+strings.Join(values, ","))
	}
	f.text("gpus", csvLine(fields))
}

// csvLine quotes fields as Docker's --mount and --gpus read them.
func csvLine(fields []string) string {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	_ = w.Write(fields) // a bytes.Buffer takes everything
	w.Flush()
	return strings.TrimSuffix(out.String(), "\n")
}

func (s *serviceMapping) security(f *flags) {
	for i, option := range s.in.SecurityOpt {
		p := s.path.to("security_opt").item(i)
		name, file, _ := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
		if name == "seccomp" && file != "unconfined" && file != "builtin" {
			if !strings.HasPrefix(file, "/") {
				s.report.problem(p, "the profile %s is not carried to the hosts: give a path that begins with / and put it there", file)
				continue
			}
			s.report.warn(p, "the profile must be on every host")
		}
		f.text("security-opt", option)
	}
}

func (s *serviceMapping) logging(f *flags) {
	l := s.in.Logging
	if l == nil {
		return
	}
	switch l.Driver {
	case "", "json-file", "local", "journald":
	default:
		s.report.warn(s.path.to("logging", "driver"), "`tombolo logs` cannot show what %s takes away", l.Driver)
	}
	f.text("log-driver", l.Driver)
	f.pairs("log-opt", l.Options)
}
