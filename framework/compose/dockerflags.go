package compose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// flagMapping maps the keys of a service that have a flag of `docker run` and no meaning
// for Tombolo. app.FormOf knows each of the flags.
type flagMapping struct {
	*serviceMapping
	app.Flags
}

func (f *flagMapping) run() []app.Flag {
	c := &f.in
	f.Text("user", c.User)
	f.Text("workdir", c.WorkingDir)
	f.Text("domainname", c.DomainName)
	f.Text("cgroup-parent", c.CgroupParent)
	f.Text("cgroupns", c.Cgroup)
	f.Text("platform", c.Platform)
	f.Text("runtime", c.Runtime)
	f.Text("mac-address", f.macAddress())
	f.List("cap-add", c.CapAdd)
	f.List("cap-drop", c.CapDrop)
	f.List("device-cgroup-rule", c.DeviceCgroupRules)
	f.List("group-add", c.GroupAdd)
	f.List("tmpfs", c.Tmpfs)
	f.List("dns", c.DNS)
	f.List("dns-search", c.DNSSearch)
	f.List("dns-option", c.DNSOpts)
	f.List("add-host", c.ExtraHosts.AsList(":"))
	f.Pairs("sysctl", c.Sysctls)
	f.Pairs("storage-opt", c.StorageOpt)
	f.Pairs("annotation", c.Annotations)
	f.Bool("privileged", c.Privileged)
	f.Bool("read-only", c.ReadOnly)
	f.Bool("tty", c.Tty)
	if c.Init != nil {
		f.Text("init", strconv.FormatBool(*c.Init))
	}
	if c.Isolation != "" && c.Isolation != "default" {
		f.unsupported(f.path.To("isolation"), c.Isolation)
	}
	f.namespaces()
	f.kernel()
	f.devices()
	f.security()
	f.logging()
	return f.Sorted()
}

// macAddress returns the address of the container's one interface, which the service or
// any of its networks may set.
func (f *flagMapping) macAddress() string {
	mac := f.in.MacAddress
	for _, name := range slices.Sorted(maps.Keys(f.in.Networks)) {
		at := f.in.Networks[name]
		if at == nil || at.MacAddress == "" {
			continue
		}
		if mac != "" && mac != at.MacAddress {
			f.Problem(f.path.To("networks", name, "mac_address"), "a container has one interface, and another key gives it the address %s", mac)
		}
		mac = at.MacAddress
	}
	return mac
}

func (f *flagMapping) namespaces() {
	for _, ns := range []struct{ key, flag, value string }{
		{"ipc", "ipc", f.in.Ipc},
		{"pid", "pid", f.in.Pid},
		{"uts", "uts", f.in.Uts},
		{"userns_mode", "userns", f.in.UserNSMode},
	} {
		if form, _ := app.FormOf(ns.flag); ns.value != "" && !slices.Contains(form.Words, ns.value) {
			f.unsupported(f.path.To(ns.key), ns.value)
			continue
		}
		f.Text(ns.flag, ns.value)
	}
}

// kernel maps the settings of the kernel's scheduler, memory and block devices.
func (f *flagMapping) kernel() {
	c := &f.in
	f.Int("cpu-period", c.CPUPeriod)
	f.Int("cpu-quota", c.CPUQuota)
	f.Int("cpu-rt-period", c.CPURTPeriod)
	f.Int("cpu-rt-runtime", c.CPURTRuntime)
	f.Int("cpu-shares", c.CPUShares)
	f.Text("cpuset-cpus", c.CPUSet)
	f.Int("memory-swap", int64(c.MemSwapLimit))
	if c.MemSwappiness != 0 || f.sources.has(f.path.To("mem_swappiness")) { // 0 is a value of its own
		f.Text("memory-swappiness", strconv.FormatInt(int64(c.MemSwappiness), 10))
	}
	f.Bool("oom-kill-disable", c.OomKillDisable)
	f.Int("oom-score-adj", c.OomScoreAdj)
	f.Int("shm-size", int64(c.ShmSize))
	f.Pairs("ulimit", ulimits(c.Ulimits))
	b := cmp.Or(c.BlkioConfig, &types.BlkioConfig{})
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

// ulimits returns limits as --ulimit takes them: "SOFT:HARD", or one number for both.
func ulimits(in map[string]*types.UlimitsConfig) map[string]string {
	limits := map[string]string{}
	for name, u := range in {
		limits[name] = fmt.Sprintf("%d:%d", u.Soft, u.Hard)
		if u.Single != 0 {
			limits[name] = strconv.Itoa(u.Single)
		}
	}
	return limits
}

func (f *flagMapping) devices() {
	for _, d := range f.in.Devices {
		f.Text("device", device(d))
	}
	f.gpus(f.in.Gpus, f.path.To("gpus"))
	if d := f.in.Deploy; d != nil && d.Resources.Reservations != nil {
		f.gpus(d.Resources.Reservations.Devices, f.path.To("deploy", "resources", "reservations", "devices"))
	}
}

// device leaves out Docker's defaults. The CDI name of a device ("vendor/class=name")
// must have nothing behind it.
func device(d types.DeviceMapping) string {
	switch {
	case d.Permissions != "" && d.Permissions != "rwm":
		return d.Source + ":" + d.Target + ":" + d.Permissions
	case d.Target != "" && d.Target != d.Source:
		return d.Source + ":" + d.Target
	}
	return d.Source
}

// gpus maps the device requests at p to --gpus.
func (f *flagMapping) gpus(requests []types.DeviceRequest, p app.Path) {
	for i, d := range requests {
		if len(d.Capabilities) > 0 && !slices.Contains(d.Capabilities, "gpu") {
			f.Problem(p.Item(i), "%s", remark(p))
			continue
		}
		f.CSV("gpus", gpuFields(d))
	}
}

func gpuFields(d types.DeviceRequest) []string {
	capabilities := slices.DeleteFunc(slices.Clone(d.Capabilities), func(c string) bool { return c == "gpu" })
	var fields []string
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
	var options []string
	for _, key := range slices.Sorted(maps.Keys(d.Options)) {
		options = append(options, key+"="+d.Options[key])
	}
	if len(options) > 0 {
		fields = append(fields, "options="+strings.Join(options, ","))
	}
	return fields
}

func (f *flagMapping) security() {
	for i, option := range f.in.SecurityOpt {
		p := f.path.To("security_opt").Item(i)
		name, file, _ := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
		if name == "seccomp" && file != "unconfined" && file != "builtin" {
			if !strings.HasPrefix(file, "/") {
				f.Problem(p, "Tombolo does not copy the profile %s to the hosts: copy it to every host, and name it by a path that begins with /", file)
				continue
			}
			f.Warn(p, "the profile must be on every host")
		}
		f.Text("security-opt", option)
	}
}

func (f *flagMapping) logging() {
	l := cmp.Or(f.in.Logging, &types.LoggingConfig{})
	if !slices.Contains([]string{"", "json-file", "local", "journald"}, l.Driver) {
		f.Warn(f.path.To("logging", "driver"), "`tombolo logs` cannot show the logs of the driver %s", l.Driver)
	}
	f.Text("log-driver", l.Driver)
	f.Pairs("log-opt", l.Options)
}
