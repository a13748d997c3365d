package framework

import (
	"encoding/csv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
)

// flags collects flags of `docker run`.
type flags struct{ list []mesos.Parameter }

func (p *flags) add(name, value string) {
	p.list = append(p.list, mesos.Parameter{Key: name, Value: value})
}

// some adds a flag that has a value.
func (p *flags) some(name, value string) {
	if value != "" {
		p.add(name, value)
	}
}

// limits says what the kernel enforces. Mesos turns the memory that is reserved
// into a limit; a service that names none gets none.
func (p *flags) limits(r app.Resources) {
	p.add("memory", strconv.FormatInt(r.MemLimit, 10))
	if r.CPULimit > 0 {
		p.add("cpus", strconv.FormatFloat(r.CPULimit, 'f', -1, 64))
	}
	if r.PIDsLimit != 0 {
		p.add("pids-limit", strconv.FormatInt(r.PIDsLimit, 10))
	}
}

func (p *flags) health(h *app.Health) {
	switch {
	case h == nil:
		return
	case len(h.Test) > 0 && h.Test[0] == "NONE":
		p.add("no-healthcheck", "true")
		return
	case len(h.Test) > 1 && h.Test[0] == "CMD-SHELL":
		p.add("health-cmd", h.Test[1])
	case len(h.Test) > 1:
		p.add("health-cmd", quoted(h.Test[1:])) // the flag knows the shell's form only
	}
	p.duration("health-interval", h.Interval)
	p.duration("health-timeout", h.Timeout)
	p.duration("health-start-period", h.StartPeriod)
	p.duration("health-start-interval", h.StartInterval)
	if h.Retries > 0 {
		p.add("health-retries", strconv.Itoa(h.Retries))
	}
}

func (p *flags) duration(name string, d time.Duration) {
	if d > 0 {
		p.add(name, d.String())
	}
}

// quoted makes one shell command of words.
func quoted(words []string) string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(out, " ")
}

// mount mounts a volume, a path of the host or a tmpfs. Paths that Docker is to
// create or to label need -v, which has no other options.
func (p *flags) mount(m app.Mount, wanted app.App) {
	if m.Type == app.MountBind && (m.Create || m.SELinux != "") && len(m.Options) == 0 {
		p.add("volume", bind(m))
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
	for _, name := range slices.Sorted(maps.Keys(m.Options)) {
		fields = append(fields, name+"="+m.Options[name])
	}
	if m.Type == app.MountVolume {
		fields = append(fields, volumeFields(m.Source, wanted)...)
	}
	p.add("mount", line(fields))
}

func bind(m app.Mount) string {
	var options []string
	if m.ReadOnly {
		options = append(options, "ro")
	}
	if m.SELinux != "" {
		options = append(options, m.SELinux)
	}
	spec := m.Source + ":" + m.Target
	if len(options) > 0 {
		spec += ":" + strings.Join(options, ",")
	}
	return spec
}

// volumeFields say how a named volume is made, should it not exist yet.
func volumeFields(name string, wanted app.App) (fields []string) {
	for _, v := range wanted.Volumes {
		if name == "" || v.Name != name || v.External {
			continue
		}
		if v.Driver != "" {
			fields = append(fields, "volume-driver="+v.Driver)
		}
		for _, option := range slices.Sorted(maps.Keys(v.Options)) {
			fields = append(fields, "volume-opt="+option+"="+v.Options[option])
		}
		for _, label := range slices.Sorted(maps.Keys(v.Labels)) {
			fields = append(fields, "volume-label="+label+"="+v.Labels[label])
		}
	}
	return fields
}

// line writes fields as Docker reads them: one line of CSV.
func line(fields []string) string {
	var out strings.Builder
	w := csv.NewWriter(&out)
	_ = w.Write(fields) // a strings.Builder takes everything
	w.Flush()
	return strings.TrimSuffix(out.String(), "\n")
}
