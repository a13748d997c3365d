package compose

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"tombolo/framework/app"
)

// networks checks the definitions of networks. Each service holds all that follows from
// them: the full names of its networks, and whether it has egress.
func (m *mapping) networks() {
	for key, n := range m.project.Networks {
		p := app.Path{"networks", key}
		if !slices.Contains([]string{"", "default", "bridge", "overlay", "tombolo"}, n.Driver) {
			m.unsupported(p.To("driver"), n.Driver)
		}
		if n.Ipam.Driver != "" && n.Ipam.Driver != "default" {
			m.unsupported(p.To("ipam", "driver"), n.Ipam.Driver)
		}
		if n.EnableIPv4 != nil && !*n.EnableIPv4 {
			m.unsupported(p.To("enable_ipv4"), false)
		}
	}
}

func (s *serviceMapping) network() {
	if s.in.NetworkMode != "" {
		s.networkMode(s.in.NetworkMode)
		return
	}
	s.out.Networks = map[string][]string{}
	s.out.Internal = true
	for _, key := range slices.Sorted(maps.Keys(s.in.Networks)) {
		p := s.path.To("networks", key)
		n, ok := s.project.Networks[key]
		if !ok {
			s.Problem(p, "there is no network %s", key)
			continue
		}
		s.out.Internal = s.out.Internal && n.Internal
		var aliases []string
		if at := s.in.Networks[key]; at != nil {
			for _, alias := range at.Aliases {
				aliases = append(aliases, strings.ToLower(alias))
			}
			s.interfaceName(p.To("interface_name"), at.InterfaceName)
			if !at.ServiceNameAliasEnabled() {
				s.unsupported(p.To("use_service_name_alias"), false)
			}
		}
		slices.Sort(aliases)
		s.out.Networks[n.Name] = slices.Compact(append(s.out.Networks[n.Name], aliases...))
	}
}

// interfaceName names the container's one interface, which any of its networks may do.
func (s *serviceMapping) interfaceName(p app.Path, name string) {
	if name == "" {
		return
	}
	if other := s.out.Interface; other != "" && other != name {
		s.Problem(p, "a container has one interface, and another network names it %s", other)
	}
	s.out.Interface = name
}

func (s *serviceMapping) networkMode(mode string) {
	p := s.path.To("network_mode")
	if len(s.in.Networks) > 0 {
		s.Problem(p, "cannot be combined with networks")
	}
	s.out.NetworkMode = mode
	switch mode {
	case app.NetworkNone:
	case app.NetworkHost, app.NetworkBridge:
		s.Warn(p, "%s is not on the overlay: the service and others do not find each other by name, and its health checks have no effect", mode)
	default:
		s.out.NetworkMode = ""
		s.unsupported(p, mode)
	}
}

// links maps links, "service" or "service:alias", and external links, "service.app" or
// "service.app:alias".
func (s *serviceMapping) links() {
	for _, text := range s.in.Links {
		service, alias, _ := strings.Cut(text, ":")
		s.link("", service, alias)
	}
	for _, text := range s.in.ExternalLinks {
		target, alias, _ := strings.Cut(text, ":")
		service, project, ok := strings.Cut(target, ".")
		if !ok {
			s.Problem(s.path.To("external_links", target), "%q names no app: %s", text, remark(s.path.To("external_links")))
			continue
		}
		s.link(project, service, alias)
	}
	slices.SortFunc(s.out.Links, func(a, b app.Link) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Alias, b.Alias))
	})
	s.out.Links = slices.Compact(s.out.Links)
}

func (s *serviceMapping) link(project, service, alias string) {
	if alias == service {
		alias = "" // it adds nothing to the service's own name
	}
	s.out.Links = append(s.out.Links, app.Link{App: project, Service: service, Alias: strings.ToLower(alias)})
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
			// compose-go restarts a service with those that it links, as Docker's links in
			// /etc/hosts need it. Names in DNS follow a new address by themselves.
			Restart: d.Restart && !implied,
		}
	}
	s.out.DependsOn = nonEmpty(s.out.DependsOn)
}
