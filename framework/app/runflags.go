package app

import (
	"slices"
	"strconv"
	"strings"
)

// form is what the value of a Docker flag looks like.
type form struct {
	kind  kind
	words []string // of a kindWord
}

type kind int

const (
	kindText   kind = iota // anything
	kindTruth              // true or false
	kindNumber             // an integer
	kindPair               // name=value
	kindWord               // one of words
)

// runFlags are the flags of `docker run` that a Service may carry in Docker. They
// reach Docker's command line, so an App that names another is refused: among
// those left out are name, network, label, env, publish, volume, mount, restart
// and rm, which the framework sets itself.
var runFlags = map[string]form{
	"add-host":            {},
	"annotation":          {kind: kindPair},
	"attach":              {kind: kindWord, words: []string{"stdout", "stderr"}},
	"blkio-weight":        {kind: kindNumber},
	"blkio-weight-device": {},
	"cap-add":             {},
	"cap-drop":            {},
	"cgroup-parent":       {},
	"cgroupns":            {kind: kindWord, words: []string{"host", "private"}},
	"cpu-period":          {kind: kindNumber},
	"cpu-quota":           {kind: kindNumber},
	"cpu-rt-period":       {kind: kindNumber},
	"cpu-rt-runtime":      {kind: kindNumber},
	"cpu-shares":          {kind: kindNumber},
	"cpuset-cpus":         {},
	"device":              {},
	"device-cgroup-rule":  {},
	"device-read-bps":     {},
	"device-read-iops":    {},
	"device-write-bps":    {},
	"device-write-iops":   {},
	"domainname":          {},
	"gpus":                {},
	"group-add":           {},
	"init":                {kind: kindTruth},
	"interactive":         {kind: kindTruth},
	"ipc":                 {kind: kindWord, words: []string{"none", "private", "shareable", "host"}},
	"log-driver":          {},
	"log-opt":             {kind: kindPair},
	"memory-swap":         {kind: kindNumber},
	"memory-swappiness":   {kind: kindNumber},
	"oom-kill-disable":    {kind: kindTruth},
	"oom-score-adj":       {kind: kindNumber},
	"pid":                 {kind: kindWord, words: []string{"host"}},
	"platform":            {},
	"privileged":          {kind: kindTruth},
	"read-only":           {kind: kindTruth},
	"runtime":             {},
	"security-opt":        {},
	"shm-size":            {kind: kindNumber},
	"storage-opt":         {kind: kindPair},
	"sysctl":              {kind: kindPair},
	"tmpfs":               {},
	"tty":                 {kind: kindTruth},
	"ulimit":              {kind: kindPair},
	"user":                {},
	"userns":              {kind: kindWord, words: []string{"host"}},
	"uts":                 {kind: kindWord, words: []string{"host"}},
	"workdir":             {},
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
	case kindWord:
		if !slices.Contains(f.words, value) {
			return "none of " + strings.Join(f.words, ", ")
		}
	case kindText:
		if value == "" {
			return "empty"
		}
	}
	return ""
}
