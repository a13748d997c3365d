package app

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// form is what the value of a Docker flag looks like.
type form struct {
	key   string // of Compose, where the flag is all that the key says; else see canonicalflags.go
	kind  kind
	words []string // of a kindWord
}

type kind int

const (
	kindText   kind = iota // anything
	kindList               // anything, any number of times
	kindTruth              // true or false
	kindNumber             // an integer
	kindPair               // name=value
	kindWord               // one of words
	kindMAC                // an Ethernet address
	kindAddr               // an IP address, any number of times
)

// runFlags are the flags of `docker run` that a Service may carry in Docker. They
// reach Docker's command line, so an App that names another is refused: among
// those left out are name, network, label, env, publish, volume, mount, restart
// and rm, which the framework sets itself.
var runFlags = map[string]form{
	"add-host":            {key: "extra_hosts", kind: kindList},
	"annotation":          {key: "annotations", kind: kindPair},
	"blkio-weight":        {kind: kindNumber},
	"blkio-weight-device": {},
	"cap-add":             {key: "cap_add", kind: kindList},
	"cap-drop":            {key: "cap_drop", kind: kindList},
	"cgroup-parent":       {key: "cgroup_parent"},
	"cgroupns":            {key: "cgroup", kind: kindWord, words: []string{"host", "private"}},
	"cpu-period":          {key: "cpu_period", kind: kindNumber},
	"cpu-quota":           {key: "cpu_quota", kind: kindNumber},
	"cpu-rt-period":       {key: "cpu_rt_period", kind: kindNumber},
	"cpu-rt-runtime":      {key: "cpu_rt_runtime", kind: kindNumber},
	"cpu-shares":          {key: "cpu_shares", kind: kindNumber},
	"cpuset-cpus":         {key: "cpuset"},
	"device":              {key: "devices", kind: kindList},
	"device-cgroup-rule":  {key: "device_cgroup_rules", kind: kindList},
	"device-read-bps":     {},
	"device-read-iops":    {},
	"device-write-bps":    {},
	"device-write-iops":   {},
	"dns":                 {key: "dns", kind: kindAddr},
	"dns-option":          {key: "dns_opt", kind: kindList},
	"dns-search":          {key: "dns_search", kind: kindList},
	"domainname":          {key: "domainname"},
	"gpus":                {},
	"group-add":           {key: "group_add", kind: kindList},
	"init":                {key: "init", kind: kindTruth},
	"ipc":                 {key: "ipc", kind: kindWord, words: []string{"none", "private", "shareable", "host"}},
	"log-driver":          {},
	"log-opt":             {kind: kindPair},
	"mac-address":         {key: "mac_address", kind: kindMAC},
	"memory-swap":         {key: "memswap_limit", kind: kindNumber},
	"memory-swappiness":   {key: "mem_swappiness", kind: kindNumber},
	"oom-kill-disable":    {key: "oom_kill_disable", kind: kindTruth},
	"oom-score-adj":       {key: "oom_score_adj", kind: kindNumber},
	"pid":                 {key: "pid", kind: kindWord, words: []string{"host"}},
	"platform":            {key: "platform"},
	"privileged":          {key: "privileged", kind: kindTruth},
	"read-only":           {key: "read_only", kind: kindTruth},
	"runtime":             {key: "runtime"},
	"security-opt":        {key: "security_opt", kind: kindList},
	"shm-size":            {key: "shm_size", kind: kindNumber},
	"storage-opt":         {key: "storage_opt", kind: kindPair},
	"sysctl":              {key: "sysctls", kind: kindPair},
	"tmpfs":               {key: "tmpfs", kind: kindList},
	"tty":                 {key: "tty", kind: kindTruth},
	"ulimit":              {kind: kindPair},
	"user":                {key: "user"},
	"userns":              {key: "userns_mode", kind: kindWord, words: []string{"host"}},
	"uts":                 {key: "uts", kind: kindWord, words: []string{"host"}},
	"workdir":             {key: "working_dir"},
}

// accepts says why value is none of the form, or "".
func (f form) accepts(value string) string {
	switch f.kind {
	case kindTruth:
		if value != "true" && value != "false" {
			return "neither true nor false"
		}
	case kindNumber:
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return "no number"
		}
	case kindPair:
		if name, _, ok := strings.Cut(value, "="); !ok || name == "" {
			return "not of the form name=value"
		}
	case kindAddr:
		if _, err := netip.ParseAddr(value); err != nil {
			return "no IP address"
		}
	case kindMAC:
		if mac, err := net.ParseMAC(value); err != nil || len(mac) != 6 {
			return "no Ethernet address"
		}
	case kindWord:
		if !slices.Contains(f.words, value) {
			return "none of " + strings.Join(f.words, ", ")
		}
	case kindText, kindList:
		if value == "" {
			return "empty"
		}
	}
	return ""
}
