package app

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// FlagForm is what the value of a Docker flag looks like.
type FlagForm struct {
	Key   string // of Compose, where the flag is all that the key says, or ""
	Kind  FlagKind
	Words []string // of a FlagWord
}

// FlagKind classes the values of Docker flags.
type FlagKind int

// The kinds of values.
const (
	FlagText FlagKind = iota // anything
	FlagList                 // anything, any number of times
	FlagBool                 // true or false
	FlagInt                  // an integer
	FlagPair                 // name=value
	FlagWord                 // one of words
	FlagMAC                  // an Ethernet address
	FlagAddr                 // an IP address, any number of times
)

// runFlags are the flags of `docker run` that a Service may carry in Docker. They
// reach Docker's command line, so an App that names another is refused: among
// those left out are name, network, label, env, publish, volume, mount, restart
// and rm, which the framework sets itself.
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

// FormOf is the form of a flag's values. It knows only the flags that a Service may
// carry.
func FormOf(flag string) (form FlagForm, known bool) {
	form, known = runFlags[flag]
	return form, known
}

// accepts says why value is none of the form, or "".
func (f FlagForm) accepts(value string) string {
	switch f.Kind {
	case FlagBool:
		if value != "true" && value != "false" {
			return "neither true nor false"
		}
	case FlagInt:
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return "no number"
		}
	case FlagPair:
		if name, _, ok := strings.Cut(value, "="); !ok || name == "" {
			return "not of the form name=value"
		}
	case FlagAddr:
		if _, err := netip.ParseAddr(value); err != nil {
			return "no IP address"
		}
	case FlagMAC:
		if mac, err := net.ParseMAC(value); err != nil || len(mac) != 6 {
			return "no Ethernet address"
		}
	case FlagWord:
		if !slices.Contains(f.Words, value) {
			return "none of " + strings.Join(f.Words, ", ")
		}
	case FlagText, FlagList:
		if value == "" {
			return "empty"
		}
	}
	return ""
}
