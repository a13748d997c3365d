package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The resources that an instance takes from an offer if its service reserves none.
const (
	DefaultCPUs     = 0.1
	DefaultMemBytes = 64 << 20
)

// DockerFlags returns the flags of `docker run` that follow from the service alone, in
// canonical order: Docker, entrypoint (its first word, see Args), hostname, health-*,
// no-healthcheck, pids-limit, stop-signal and stop-timeout.
//
// The framework sets the others: name, network, environment, labels, published ports,
// CPUs, memory, mounts (see MountFlags), resolv.conf, pull policy, and no restart
// policy.
//
// Values are literal: they must not be quoted or split again.
func (s *Service) DockerFlags() []Flag {
	f := Flags(slices.Clone(s.Docker))
	f.Text("hostname", s.Hostname)
	f.Text("stop-signal", s.StopSignal)
	f.Int("pids-limit", s.Resources.PIDsLimit)
	if s.StopGrace > 0 {
		f.Text("stop-timeout", strconv.Itoa(int(s.StopGrace.Round(time.Second)/time.Second)))
	}
	switch {
	case len(s.Entrypoint) > 0:
		f = append(f, Flag{"entrypoint", s.Entrypoint[0]})
	case s.ClearEntrypoint:
		f = append(f, Flag{"entrypoint", ""})
	}
	s.Health.flags(&f)
	return f.Sorted()
}

// Args returns the words behind the image in `docker run`: the entrypoint without its
// first word, which is a flag, and the command. It returns nil if the image's own
// command applies.
func (s *Service) Args() []string {
	var args []string
	if len(s.Entrypoint) > 1 {
		args = append(args, s.Entrypoint[1:]...)
	}
	return append(args, s.Command...)
}

// Grace returns how long Docker waits for a container to stop before it kills it.
func (s *Service) Grace() time.Duration {
	if s.StopGrace == 0 {
		return 10 * time.Second
	}
	return s.StopGrace
}

func (h *Health) flags(f *Flags) {
	if h == nil {
		return
	}
	if len(h.Test) > 0 {
		switch h.Test[0] {
		case "NONE":
			f.Bool("no-healthcheck", true)
			return
		case "CMD":
			f.Text("health-cmd", shellLine(h.Test[1:]))
		case "CMD-SHELL":
			f.Text("health-cmd", strings.Join(h.Test[1:], " "))
		}
	}
	f.Int("health-retries", int64(h.Retries))
	for name, d := range map[string]time.Duration{
		"health-interval":       h.Interval,
		"health-timeout":        h.Timeout,
		"health-start-period":   h.StartPeriod,
		"health-start-interval": h.StartInterval,
	} {
		if d != 0 {
			f.Text(name, d.String())
		}
	}
}

// shellLine quotes words for a shell: `docker run` knows health checks by the shell
// only. An embedded agent runs the words themselves.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,") != "" {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return "exec " + strings.Join(quoted, " ")
}

// MountFlags returns the mounts of a service as flags of `docker run`. They carry the
// driver, options and labels of the app's volumes, with which Docker makes a volume
// that the host does not have.
func (a *App) MountFlags(service string) []Flag {
	byName := map[string]Volume{}
	for _, v := range a.Volumes {
		byName[v.Name] = v
	}
	var f Flags
	for _, m := range a.Services[service].Mounts {
		m.flag(&f, byName[m.Source])
	}
	return f
}

// flag adds --mount, or --volume for a mount that only --volume can express: --mount
// neither makes a folder on the host nor relabels it for SELinux.
func (m Mount) flag(f *Flags, v Volume) {
	if m.Type == MountBind && (m.Create || m.SELinux != "") {
		f.Text("volume", m.short())
		return
	}
	fields := []string{"type=" + m.Type}
	if m.Source != "" {
		fields = append(fields, "source="+m.Source)
	}
	fields = append(fields, "target="+m.Target)
	if m.ReadOnly {
		fields = append(fields, "readonly")
	}
	if m.Type == MountVolume && !v.External {
		if v.Driver != "" {
			fields = append(fields, "volume-driver="+v.Driver)
		}
		fields = appendPairs(fields, "volume-opt=", v.Options)
		fields = appendPairs(fields, "volume-label=", v.Labels)
	}
	f.CSV("mount", appendPairs(fields, "", m.Options))
}

// short is the value of --volume: SOURCE:TARGET[:OPTION,...].
func (m Mount) short() string {
	options := []string{}
	if m.ReadOnly {
		options = append(options, "ro")
	}
	for _, option := range []string{m.SELinux, m.Options["bind-propagation"]} {
		if option != "" {
			options = append(options, option)
		}
	}
	return strings.TrimSuffix(fmt.Sprintf("%s:%s:%s", m.Source, m.Target, strings.Join(options, ",")), ":")
}

func appendPairs(fields []string, prefix string, pairs map[string]string) []string {
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		fields = append(fields, prefix+key+"="+pairs[key])
	}
	return fields
}

// Reserve returns what an instance takes from an offer: the reservation, or the default
// if there is none and the limit is not lower.
func (r Resources) Reserve() (cpus float64, memBytes int64) {
	return reserve(r.CPUs, r.CPULimit, DefaultCPUs), reserve(r.MemBytes, r.MemLimit, DefaultMemBytes)
}

func reserve[N float64 | int64](reserved, limit, standard N) N {
	if reserved == 0 && limit > 0 {
		return min(standard, limit)
	}
	return cmp.Or(reserved, standard)
}
