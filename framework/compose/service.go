package compose

import (
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// mapping makes an App of compose-go's project. It reports what it cannot map;
// what must hold of any App, check reports.
type mapping struct {
	report  *report
	project *types.Project
	sources *sources
	implied map[[2]string]bool // {from, to}: depends_on that only a link implies
}

func (m *mapping) app() *app.App {
	a := &app.App{Name: m.project.Name, Services: map[string]app.Service{}}
	m.implied = map[[2]string]bool{}
	m.report.Inactive = map[string]bool{}
	for name := range m.project.DisabledServices {
		m.report.Inactive[name] = true
	}
	a.Strict = m.isolation(m.project.Extensions[app.Extension])
	m.networks()
	a.Volumes = m.volumes()
	for _, name := range slices.Sorted(maps.Keys(m.project.Services)) {
		s := &serviceMapping{mapping: m, in: m.project.Services[name], path: app.Path{"services", name}}
		s.out.Name = name
		a.Services[name] = s.service(a.Name)
	}
	m.freeRuns(a)
	m.breakLinks(a)
	a.Check(&m.report.Report)
	return a
}

// serviceMapping is the mapping of one service.
type serviceMapping struct {
	*mapping
	in   types.ServiceConfig
	out  app.Service
	path app.Path
}

func (s *serviceMapping) service(project string) app.Service {
	s.image(project)
	s.command()
	s.out.ContainerName = s.in.ContainerName
	s.out.Hostname = s.in.Hostname
	s.out.Environment = s.environment()
	s.out.Labels = nonEmpty(map[string]string(s.in.Labels))
	s.network()
	s.links()
	s.dependencies()
	s.ports()
	s.mounts()
	s.health()
	s.deploy()
	s.external()
	s.resources()
	s.stop()
	s.extend(s.in.Extensions[app.Extension])
	s.out.Docker = s.docker()
	return s.out
}

func (s *serviceMapping) image(project string) {
	s.out.Image = s.in.Image
	if s.in.Build != nil {
		s.out.Build = s.build(s.in.Build)
		if s.out.Image == "" {
			s.out.Image = strings.ToLower(project + "-" + s.out.Name)
		}
	}
	switch policy := s.in.PullPolicy; policy {
	case "", types.PullPolicyAlways, types.PullPolicyNever, types.PullPolicyMissing, types.PullPolicyBuild:
		s.out.PullPolicy = policy
		if policy == types.PullPolicyNever {
			s.report.Warn(s.path.To("pull_policy"), "never cannot be kept: agents pull what their host does not have")
		}
	case types.PullPolicyIfNotPresent:
		s.out.PullPolicy = types.PullPolicyMissing
	default:
		s.report.Problem(s.path.To("pull_policy"), "%s is not supported: images are not refreshed on a schedule", policy)
	}
}

func (s *serviceMapping) command() {
	s.out.Entrypoint, s.out.Command = s.in.Entrypoint, s.in.Command
	if s.in.Entrypoint != nil && len(s.in.Entrypoint) == 0 {
		s.out.Entrypoint, s.out.ClearEntrypoint = nil, true
	}
	if s.in.Command != nil && len(s.in.Command) == 0 {
		s.out.Command = nil
		if s.in.Entrypoint == nil {
			s.report.Problem(s.path.To("command"), "`docker run` cannot clear the image's command and keep its entrypoint; set entrypoint too")
		}
	}
}

// environment is without the names that have no value: they stand for variables
// of the client, and it has none.
func (s *serviceMapping) environment() map[string]string {
	env := map[string]string{}
	for key, value := range s.in.Environment {
		if value != nil {
			env[key] = *value
		}
	}
	return nonEmpty(env)
}

func (s *serviceMapping) stop() {
	s.out.StopSignal = app.Signal(s.in.StopSignal)
	if s.in.StopGracePeriod != nil {
		s.out.StopGrace = max(duration(s.in.StopGracePeriod), 1)
	}
}

// nonEmpty is nil for an empty map, so that equal Apps are equal in every way.
func nonEmpty[V any](m map[string]V) map[string]V {
	if len(m) == 0 {
		return nil
	}
	return m
}
