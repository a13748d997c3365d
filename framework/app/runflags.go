package app

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// FlagForm describes a flag of `docker run` that a Service may carry.
type FlagForm struct {
	Key   string // the Compose key that the flag's values fill; "": a part of a key, see compose.Canonical
	Kind  FlagKind
	Words []string // the values of a FlagWord
}

// FlagKind classes the values of a flag.
type FlagKind int

// The kinds of values.
const (
	FlagText FlagKind = iota // any text
	FlagList                 // any text; the flag may be repeated
	FlagBool                 // true or false
	FlagInt                  // an integer
	FlagPair                 // KEY=VALUE; the flag may be repeated
	FlagWord                 // one of Words
	FlagMAC                  // an Ethernet address
	FlagAddr                 // an IP address; the flag may be repeated
)

// runFlags are the flags that Service.Docker may contain. An App with another one is
// refused, because flags reach Docker's command line: the framework alone sets name,
// network, label, env, publish, volume, mount, restart and rm, among others.
var runFlags = map[string]FlagForm{
	"add-host":            {Key: "extra_hosts", Kind: FlagList},
	"annotation":          {Key: "annotations", Kind: FlagPair},
	"blkio-weight":        {Kind: FlagInt},
	"blkio-weight-device": {},
	"cap-add":             {Key: "cap_add", Kind: FlagList},
	"cap-drop":            {Key: "cap_drop", Kind: FlagList},
	"cgroup-parent":       {Key: "cgroup_parent"},
	"cgroupns":            {Key: "cgroup", Kind: FlagWord, Words: []string{"host", "private"}},
	"cpu-period":          {Key: "cpu_period", Kind: FlagInt},
	"cpu-quota":           {Key: "cpu_quota", Kind: FlagInt},
	"cpu-rt-period":       {Key: "cpu_rt_period", Kind: FlagInt},
	"cpu-rt-runtime":      {Key: "cpu_rt_runtime", Kind: FlagInt},
	"cpu-shares":          {Key: "cpu_shares", Kind: FlagInt},
	"cpuset-cpus":         {Key: "cpuset"},
	"device":              {Key: "devices", Kind: FlagList},
	"device-cgroup-rule":  {Key: "device_cgroup_rules", Kind: FlagList},
	"device-read-bps":     {},
	"device-read-iops":    {},
	"device-write-bps":    {},
	"device-write-iops":   {},
	"dns":                 {Key: "dns", Kind: FlagAddr},
	"dns-option":          {Key: "dns_opt", Kind: FlagList},
	"dns-search":          {Key: "dns_search", Kind: FlagList},
	"domainname":          {Key: "domainname"},
	"gpus":                {},
	"group-add":           {Key: "group_add", Kind: FlagList},
	"init":                {Key: "init", Kind: FlagBool},
	"ipc":                 {Key: "ipc", Kind: FlagWord, Words: []string{"none", "private", "shareable", "host"}},
	"log-driver":          {},
	"log-opt":             {Kind: FlagPair},
	"mac-address":         {Key: "mac_address", Kind: FlagMAC},
	"memory-swap":         {Key: "memswap_limit", Kind: FlagInt},
	"memory-swappiness":   {Key: "mem_swappiness", Kind: FlagInt},
	"oom-kill-disable":    {Key: "oom_kill_disable", Kind: FlagBool},
	"oom-score-adj":       {Key: "oom_score_adj", Kind: FlagInt},
	"pid":                 {Key: "pid", Kind: FlagWord, Words: []string{"host"}},
	"platform":            {Key: "platform"},
	"privileged":          {Key: "privileged", Kind: FlagBool},
	"read-only":           {Key: "read_only", Kind: FlagBool},
	"runtime":             {Key: "runtime"},
	"security-opt":        {Key: "security_opt", Kind: FlagList},
	"shm-size":            {Key: "shm_size", Kind: FlagInt},
	"storage-opt":         {Key: "storage_opt", Kind: FlagPair},
	"sysctl":              {Key: "sysctls", Kind: FlagPair},
	"tmpfs":               {Key: "tmpfs", Kind: FlagList},
	"tty":                 {Key: "tty", Kind: FlagBool},
	"ulimit":              {Kind: FlagPair},
	"user":                {Key: "user"},
	"userns":              {Key: "userns_mode", Kind: FlagWord, Words: []string{"host"}},
	"uts":                 {Key: "uts", Kind: FlagWord, Words: []string{"host"}},
	"workdir":             {Key: "working_dir"},
}

// FormOf returns the form of a flag, if a Service may carry it.
func FormOf(flag string) (form FlagForm, known bool) {
	form, known = runFlags[flag]
	return form, known
}

// fault says why value is not of the form, or "".
func (f FlagForm) fault(value string) string {
	name, _, isPair := strings.Cut(value, "=")
	_, notInt := strconv.ParseInt(value, 10, 64)
	_, notAddr := netip.ParseAddr(value)
	mac, notMAC := net.ParseMAC(value)
	switch {
	case f.Kind == FlagBool && value != "true" && value != "false":
		return "neither true nor false"
	case f.Kind == FlagInt && notInt != nil:
		return "not a number"
	case f.Kind == FlagPair && (!isPair || name == ""):
		return "not of the form NAME=VALUE"
	case f.Kind == FlagAddr && notAddr != nil:
		return "not an IP address"
	case f.Kind == FlagMAC && (notMAC != nil || len(mac) != 6):
		return "not an Ethernet address"
	case f.Kind == FlagWord && !slices.Contains(f.Words, value):
		return "none of " + strings.Join(f.Words, ", ")
	case (f.Kind == FlagText || f.Kind == FlagList) && value == "":
		return "empty"
	}
	return ""
}

// onTheOverlay says, for flags that only services off the overlay may carry, what to do
// instead. On the overlay, all containers of a host mount the linker's resolv.conf.
var onTheOverlay = map[string]string{
	"dns":        "the host's linker answers the app's names, and forwards other names to the host's own name servers; configure those on the hosts",
	"dns-search": "all containers of a host share one resolv.conf; set LOCALDOMAIN in environment if the image uses glibc",
	"dns-option": "all containers of a host share one resolv.conf; set RES_OPTIONS in environment if the image uses glibc",
}

func (c *serviceCheck) flags() {
	for _, f := range c.Docker {
		form, known := runFlags[f.Name]
		if !known {
			c.Problem(c.path, "a service may not set the Docker flag %q", f.Name)
		} else if fault := form.fault(f.Value); fault != "" {
			c.Problem(c.path, "Docker flag %s: %q is %s", f.Name, f.Value, fault)
		}
		if why := onTheOverlay[f.Name]; why != "" && c.NetworkMode == "" {
			c.Problem(c.path.To(form.Key), "%s", why)
		}
	}
	c.conflicts()
}

// conflicts reports flags that Docker refuses together. Otherwise each instance would
// fail at its start.
func (c *serviceCheck) conflicts() {
	has := func(name string) bool {
		return slices.ContainsFunc(c.Docker, func(f Flag) bool { return f.Name == name })
	}
	if c.Resources.CPULimit > 0 && (has("cpu-period") || has("cpu-quota")) {
		c.Problem(c.path.To("cpus"), "cannot be combined with cpu_period and cpu_quota")
	}
	if has("memory-swap") && !slices.Contains(c.Docker, Flag{"memory-swap", "-1"}) && c.Resources.MemLimit == 0 {
		c.Problem(c.path.To("memswap_limit"), "needs mem_limit")
	}
	if has("mac-address") && (c.NetworkMode == NetworkNone || c.NetworkMode == NetworkHost) {
		c.Problem(c.path.To("mac_address"), "needs a network, and network_mode is %s", c.NetworkMode)
	}
	if has("uts") && (c.Hostname != "" || has("domainname")) {
		c.Problem(c.path.To("uts"), "host cannot be combined with hostname and domainname")
	}
}
