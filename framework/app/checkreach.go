package app

import (
	"maps"
	"slices"
)

// networks, links and dependencies check what a service says of other services.

func (c *serviceCheck) networks() {
	switch c.NetworkMode {
	case "":
	case NetworkNone, NetworkHost, NetworkBridge:
		if len(c.Networks) > 0 || len(c.Links) > 0 {
			c.problem(c.path.to("network_mode"), "%s excludes networks and links", c.NetworkMode)
		}
	default:
		c.problem(c.path.to("network_mode"), "%q is not supported", c.NetworkMode)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Networks)) {
		if !networkName.MatchString(name) {
			c.problem(c.path.to("networks"), "%q is no network name", name)
		}
		for _, alias := range c.Networks[name] {
			if why := nameFault(alias); why != "" {
				c.problem(c.path.to("networks"), "alias %q %s", alias, why)
			}
		}
	}
}

func (c *serviceCheck) links() {
	aliases := map[string]Link{}
	for _, l := range c.Links {
		p := c.path.to("links", l.Service)
		if l.App != "" {
			p = c.path.to("external_links", l.Service+"."+l.App)
		}
		if !c.linkTarget(l, p) {
			continue
		}
		if l.Alias == "" {
			continue
		}
		if why := nameFault(l.Alias); why != "" {
			c.problem(p, "alias %q %s", l.Alias, why)
		}
		if other, taken := aliases[l.Alias]; taken {
			c.problem(p, "alias %s is %s too", l.Alias, linkName(other))
		}
		aliases[l.Alias] = l
		if other, ok := c.app.Services[l.Alias]; ok && (l.App != "" || other.Name != l.Service) {
			c.problem(p, "alias %s is the name of another service", l.Alias)
		}
	}
}

// linkTarget reports whether the link leads somewhere.
func (c *serviceCheck) linkTarget(l Link, p keyPath) bool {
	if l.App == "" {
		if l.Service == c.Name {
			c.problem(p, "links to itself")
			return false
		}
		return c.exists(l.Service, p)
	}
	if l.App == c.app.Name {
		c.problem(p, "%s is this app: use links", l.App)
		return false
	}
	for _, name := range []string{l.App, l.Service} {
		if why := labelFault(name); why != "" {
			c.problem(p, "%q %s", name, why)
			return false
		}
	}
	return true
}

func linkName(l Link) string {
	if l.App == "" {
		return l.Service
	}
	return l.Service + "." + l.App
}

// exists reports a service that is not there.
func (c *serviceCheck) exists(service string, p keyPath) bool {
	if _, ok := c.app.Services[service]; ok {
		return true
	}
	switch near := nearest(service, slices.Collect(maps.Keys(c.app.Services))); {
	case c.disabled[service]:
		c.problem(p, "service %s is in profiles that are not active", service)
	case near != "":
		c.problem(p, "there is no service %s, did you mean %s?", service, near)
	default:
		c.problem(p, "there is no service %s", service)
	}
	return false
}

func (c *serviceCheck) dependencies() {
	for _, name := range slices.Sorted(maps.Keys(c.DependsOn)) {
		d := c.DependsOn[name]
		p := c.path.to("depends_on", name)
		linked := slices.ContainsFunc(c.Links, func(l Link) bool { return l.App == "" && l.Service == name })
		if _, ok := c.app.Services[name]; !ok && linked {
			continue // said of the link
		}
		if !c.exists(name, p) {
			continue
		}
		c.condition(d, c.app.Services[name], p)
	}
}

func (c *serviceCheck) condition(d Dependency, on Service, p keyPath) {
	switch d.Condition {
	case Started:
	case Healthy:
		if on.NetworkMode != "" {
			c.problem(p, "%s is not on the overlay, so nobody sees whether it is healthy", on.Name)
		}
		if h := on.Health; h != nil && len(h.Test) > 0 && h.Test[0] == "NONE" {
			c.problem(p, "%s has its health check disabled and is never healthy", on.Name)
		}
	case Completed:
		if on.Restart.Condition == RestartAny {
			c.problem(p, "%s is always started again and never completes; give it restart: \"no\" or on-failure", on.Name)
		}
	default:
		c.problem(p, "condition %q is not supported", d.Condition)
	}
}
