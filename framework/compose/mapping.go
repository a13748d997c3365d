package compose

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// mapping makes an App of a project of compose-go. It reports what it cannot map, and
// leaves to App.Check what must hold of every App.
type mapping struct {
	*report
	project *types.Project
	implied map[[2]string]bool // dependencies {from, to} that only a link implies
}

func (m *mapping) app() *app.App {
	a := &app.App{Name: m.project.Name, Services: map[string]app.Service{}}
	m.implied = map[[2]string]bool{}
	m.Inactive = map[string]bool{}
	for name := range m.project.DisabledServices {
		m.Inactive[name] = true
	}
	a.Strict = m.strict(m.project.Extensions[app.Extension])
	m.networks()
	a.Volumes = m.volumes()
	for name, in := range m.project.Services {
		s := &serviceMapping{mapping: m, in: in, path: app.Path{"services", name}}
		s.out.Name = name
		a.Services[name] = s.service()
	}
	m.letJobsComplete(a)
	m.breakCycles(a)
	a.Check(&m.Report)
	return a
}

// letJobsComplete gives "no" as the restart policy to services that name none, and that
// others wait for to complete. With the default they would start again for ever.
func (m *mapping) letJobsComplete(a *app.App) {
	for _, s := range a.Services {
		for name, d := range s.DependsOn {
			job, ok := a.Services[name]
			in := m.project.Services[name]
			if ok && d.Condition == app.Completed && in.Restart == "" && (in.Deploy == nil || in.Deploy.RestartPolicy == nil) {
				job.Restart = app.Restart{Condition: app.RestartNone}
				a.Services[name] = job
			}
		}
	}
}

// breakCycles drops dependencies that only links imply, where services link each other
// in a circle: none of them could start first, and DNS needs no order.
func (m *mapping) breakCycles(a *app.App) {
	for _, from := range slices.Sorted(maps.Keys(a.Services)) {
		s := a.Services[from]
		for _, to := range slices.Sorted(maps.Keys(s.DependsOn)) {
			if !m.implied[[2]string{from, to}] || a.DependencyPath(to, from) == nil {
				continue
			}
			delete(s.DependsOn, to)
			if from != to { // a link to itself is a problem of its own
				m.Warn(app.Path{"services", from, "links", to}, "%s needs %s in turn, so %s does not wait for it", to, from, from)
			}
		}
		s.DependsOn = nonEmpty(s.DependsOn)
		a.Services[from] = s
	}
}

type serviceMapping struct {
	*mapping
	in   types.ServiceConfig
	out  app.Service
	path app.Path
}

func (s *serviceMapping) service() app.Service {
	s.image()
	s.command()
	s.out.ContainerName = s.in.ContainerName
	s.out.Hostname = s.in.Hostname
	s.out.Environment = present(s.in.Environment)
	s.out.Labels = nonEmpty(map[string]string(s.in.Labels))
	s.network()
	s.links()
	s.dependencies()
	s.ports()
	s.mounts()
	s.health()
	s.deploy()
	s.externalVolumes()
	s.resources()
	s.stop()
	s.extend(s.in.Extensions[app.Extension])
	s.out.Docker = (&flagMapping{serviceMapping: s}).run()
	return s.out
}

// unsupported reports a value that cannot be honoured, with the remark of keys.txt.
func (m *mapping) unsupported(p app.Path, value any) {
	m.Problem(p, "%v cannot be honoured: %s", value, remark(p))
}

func (s *serviceMapping) image() {
	s.out.Image = s.in.Image
	if s.in.Build != nil {
		s.out.Build = s.build(s.in.Build)
		if s.out.Image == "" {
			s.out.Image = strings.ToLower(s.project.Name + "-" + s.out.Name)
		}
	}
	p := s.path.To("pull_policy")
	s.out.PullPolicy = s.in.PullPolicy
	switch s.in.PullPolicy {
	case "", types.PullPolicyAlways, types.PullPolicyMissing, types.PullPolicyBuild:
	case types.PullPolicyNever:
		s.Warn(p, "an agent of Mesos pulls an image that its host does not have, whatever the policy; Tombolo's own agents obey it")
	case types.PullPolicyIfNotPresent:
		s.out.PullPolicy = types.PullPolicyMissing
	default:
		s.out.PullPolicy = ""
		s.unsupported(p, s.in.PullPolicy)
	}
}

func (s *serviceMapping) command() {
	s.out.Entrypoint, s.out.Command = s.in.Entrypoint, s.in.Command
	if s.in.Entrypoint != nil && len(s.in.Entrypoint) == 0 {
		s.out.Entrypoint, s.out.ClearEntrypoint = nil, true
	}
	if s.in.Command != nil && len(s.in.Command) == 0 {
		s.out.Command = nil
		if p := s.path.To("command"); s.in.Entrypoint == nil {
			s.Problem(p, "%s", remark(p))
		}
	}
}

func (s *serviceMapping) health() {
	in := s.in.HealthCheck
	if in == nil {
		return
	}
	h := &app.Health{
		Test:          in.Test,
		Interval:      time.Duration(deref(in.Interval)),
		Timeout:       time.Duration(deref(in.Timeout)),
		Retries:       int(min(deref(in.Retries), 1<<30)),
		StartPeriod:   time.Duration(deref(in.StartPeriod)),
		StartInterval: time.Duration(deref(in.StartInterval)),
	}
	if in.Disable {
		h = &app.Health{Test: []string{"NONE"}}
	}
	s.out.Health = h
}

func (s *serviceMapping) stop() {
	s.out.StopSignal = app.Signal(s.in.StopSignal)
	if s.in.StopGracePeriod != nil {
		s.out.StopGrace = max(time.Duration(*s.in.StopGracePeriod), 1) // 0 would be the default
	}
}

// deref returns the zero value for a key that the file does not have.
func deref[V any](p *V) (v V) {
	if p != nil {
		v = *p
	}
	return v
}

// present drops the names without a value. They stand for variables of the client, and
// the client does not have them.
func present(pairs map[string]*string) map[string]string {
	values := map[string]string{}
	for key, value := range pairs {
		if value != nil {
			values[key] = *value
		}
	}
	return nonEmpty(values)
}

// nonEmpty returns nil for an empty map, so that equal Apps are equal for every
// comparison.
func nonEmpty[V any](m map[string]V) map[string]V {
	if len(m) == 0 {
		return nil
	}
	return m
}
