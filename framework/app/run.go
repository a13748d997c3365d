package app

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DockerFlags is the part of a `docker run` that the service alone decides, in
// canonical order: entrypoint (its first word, see Args), hostname, the health
// check (health-*, no-healthcheck), stop-signal, stop-timeout, pids-limit, and
// everything in Docker.
//
// It leaves to the framework: name, network, environment, labels (its own and
// Labels), publish, CPUs and memory (Resources), volumes (see MountFlags),
// resolv.conf, restart (never Docker's), and pulling (PullPolicy).
//
// Every value stands for itself: nothing in it is to be quoted or split again.
func (s *Service) DockerFlags() []Flag {
	f := Flags(slices.Clone(s.Docker))
	f.Text("hostname", s.Hostname)
	f.Text("stop-signal", s.StopSignal)
	f.Int("pids-limit", s.Resources.PIDsLimit)
	if s.StopGrace > 0 {
		f = append(f, Flag{"stop-timeout", strconv.Itoa(int(s.StopGrace.Round(time.Second) / time.Second))})
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

// Args are the words after the image: the rest of the entrypoint, of which Docker's
// command line takes only the first word as a flag, then the command. Empty where
// the image's own command applies.
func (s *Service) Args() []string {
	var args []string
	if len(s.Entrypoint) > 1 {
		args = append(args, s.Entrypoint[1:]...)
	}
	return append(args, s.Command...)
}

// Grace is how long a container of the service may take to stop.
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

// shellLine is the line that makes a shell run just these words.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		if plain(word) {
			quoted[i] = word
		}
	}
	return "exec " + strings.Join(quoted, " ")
}

func plain(word string) bool {
	return word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,", r)
	}) < 0
}

// MountFlags is the service's mounts as flags of `docker run`, with what the app's
// volumes say of those that Docker has yet to make. A volume's name is Docker's.
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

// flag is --volume where only that can say it: --mount neither makes folders on
// the host nor relabels.
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
		fields = append(fields, v.options()...)
	}
	for _, key := range slices.Sorted(maps.Keys(m.Options)) {
		fields = append(fields, key+"="+m.Options[key])
	}
	f.CSV("mount", fields)
}

func (m Mount) short() string {
	words := []string{}
	if m.ReadOnly {
		words = append(words, "ro")
	}
	if m.SELinux != "" {
		words = append(words, m.SELinux)
	}
	if p := m.Options["bind-propagation"]; p != "" {
		words = append(words, p)
	}
	return strings.TrimSuffix(fmt.Sprintf("%s:%s:%s", m.Source, m.Target, strings.Join(words, ",")), ":")
}

func (v Volume) options() []string {
	var fields []string
	if v.Driver != "" {
		fields = append(fields, "volume-driver="+v.Driver)
	}
	for _, key := range slices.Sorted(maps.Keys(v.Options)) {
		fields = append(fields, "volume-opt="+key+"="+v.Options[key])
	}
	for _, key := range slices.Sorted(maps.Keys(v.Labels)) {
		fields = append(fields, "volume-label="+key+"="+v.Labels[key])
	}
	return fields
}

// What an instance takes from an offer where its service reserves nothing.
const (
	DefaultCPUs     = 0.1
	DefaultMemBytes = 64 << 20
)

// Reserve is what an instance takes from an offer: what is reserved, else the
// default, but never more than the limit.
func (r Resources) Reserve() (cpus float64, memBytes int64) {
	cpus, memBytes = r.CPUs, r.MemBytes
	if cpus == 0 {
		cpus = DefaultCPUs
		if r.CPULimit > 0 {
			cpus = min(cpus, r.CPULimit)
		}
	}
	if memBytes == 0 {
		memBytes = DefaultMemBytes
		if r.MemLimit > 0 {
			memBytes = min(memBytes, r.MemLimit)
		}
	}
	return cpus, memBytes
}
