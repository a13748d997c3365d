package compose

import (
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// networks checks the definitions. What they define is in each service: the full
// names and whether there is a way out.
func (m *mapping) networks() {
	for _, key := range slices.Sorted(maps.Keys(m.project.Networks)) {
		n, p := m.project.Networks[key], app.Path{"networks", key}
		switch n.Driver {
		case "", "default", "bridge", "overlay", "tombolo":
		default:
			m.report.Problem(p.To("driver"), "driver %s is not supported: every network is Tombolo's overlay", n.Driver)
		}
		if n.Ipam.Driver != "" && n.Ipam.Driver != "default" {
			m.report.Problem(p.To("ipam", "driver"), "driver %s is not supported: addresses come from the cluster's pool", n.Ipam.Driver)
		}
		if n.EnableIPv4 != nil && !*n.EnableIPv4 {
			m.report.Problem(p.To("enable_ipv4"), "false is not supported: every container has an IPv4 address")
		}
	}
}

func (s *serviceMapping) network() {
	if mode := s.in.NetworkMode; mode != "" {
		s.networkMode(mode)
		return
	}
	s.out.Networks = map[string][]string{}
	s.out.Internal = true
	for _, key := range slices.Sorted(maps.Keys(s.in.Networks)) {
		p := s.path.To("networks", key)
		n, ok := s.project.Networks[key]
		if !ok {
			s.report.Problem(p, "there is no network %s", key)
			continue
		}
		s.out.Internal = s.out.Internal && n.Internal
		var aliases []string
		if at := s.in.Networks[key]; at != nil {
			for _, alias := range at.Aliases {
				aliases = append(aliases, strings.ToLower(alias))
			}
			if !at.ServiceNameAliasEnabled() {
				s.report.Problem(p.To("use_service_name_alias"), "false is not supported: a service always answers to its name")
			}
		}
		slices.Sort(aliases)
		s.out.Networks[n.Name] = slices.Compact(append(s.out.Networks[n.Name], aliases...))
	}
}

func (s *serviceMapping) networkMode(mode string) {
	p := s.path.To("network_mode")
	if len(s.in.Networks) > 0 {
		s.report.Problem(p, "excludes networks")
	}
	switch {
	case mode == app.NetworkNone:
		s.out.NetworkMode = mode
	case mode == app.NetworkHost, mode == app.NetworkBridge:
		s.out.NetworkMode = mode
		s.report.Warn(p, "%s is off the overlay: nobody finds the service by name, nor it others, and no health check of it is heeded", mode)
	case strings.HasPrefix(mode, types.ServicePrefix), strings.HasPrefix(mode, types.ContainerPrefix):
		s.report.Problem(p, "%s is not supported: the other container may run on another host", mode)
	default:
		s.report.Problem(p, "%s is not supported, only none, host and bridge; name networks", mode)
	}
}

// links maps links, whose form is "service" or "service:alias", and external
// links, "service.app" or "service.app:alias".
func (s *serviceMapping) links() {
	for _, text := range s.in.Links {
		service, alias, _ := strings.Cut(text, ":")
		s.out.Links = append(s.out.Links, app.Link{Service: service, Alias: linkAlias(alias, service)})
	}
	for _, text := range s.in.ExternalLinks {
		target, alias, _ := strings.Cut(text, ":")
		service, project, ok := strings.Cut(target, ".")
		if !ok {
			s.report.Problem(s.path.To("external_links", target),
				"%q names a container; name the other app's service and the app, as in db.shop or db.shop:alias", text)
			continue
		}
		s.out.Links = append(s.out.Links, app.Link{App: project, Service: service, Alias: linkAlias(alias, service)})
	}
	slices.SortFunc(s.out.Links, compareLinks)
	s.out.Links = slices.Compact(s.out.Links)
}

// linkAlias is "" where the alias adds nothing to the service's own name.
func linkAlias(alias, service string) string {
	if alias == service {
		return ""
	}
	return strings.ToLower(alias)
}

func compareLinks(a, b app.Link) int {
	return strings.Compare(a.App+"\x00"+a.Service+"\x00"+a.Alias, b.App+"\x00"+b.Service+"\x00"+b.Alias)
}

func (s *serviceMapping) dependencies() {
	s.out.DependsOn = map[string]app.Dependency{}
	for name, d := range s.in.DependsOn {
		if _, ok := s.project.Services[name]; !ok && !d.Required {
			continue
		}
		linked := slices.ContainsFunc(s.out.Links, func(l app.Link) bool { return l.App == "" && l.Service == name })
		implied := linked && !s.sources.has(s.path.To("depends_on", name))
		if implied {
			s.implied[[2]string{s.out.Name, name}] = true
		}
		s.out.DependsOn[name] = app.Dependency{
			Condition: d.Condition, Optional: !d.Required,
			// compose-go has whoever links a service restart with it, as links by
			// /etc/hosts needed; names in DNS move by themselves.
			Restart: d.Restart && !implied,
		}
	}
	s.out.DependsOn = nonEmpty(s.out.DependsOn)
}
