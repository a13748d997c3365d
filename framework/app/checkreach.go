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
			c.Problem(c.path.To("network_mode"), "%s excludes networks and links", c.NetworkMode)
		}
	default:
		c.Problem(c.path.To("network_mode"), "%q is not supported", c.NetworkMode)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Networks)) {
		if !networkName.MatchString(name) {
			c.Problem(c.path.To("networks"), "%q is no network name", name)
		}
		for _, alias := range c.Networks[name] {
			if why := nameFault(alias); why != "" {
				c.Problem(c.path.To("networks"), "alias %q %s", alias, why)
			}
		}
	}
}

func (c *serviceCheck) links() {
	aliases := map[string]Link{}
	for _, l := range c.Links {
		p := c.path.To("links", l.Service)
		if l.App != "" {
			p = c.path.To("external_links", l.Service+"."+l.App)
		}
		if !c.linkTarget(l, p) {
			continue
		}
		if l.Alias == "" {
			continue
		}
		if why := nameFault(l.Alias); why != "" {
			c.Problem(p, "alias %q %s", l.Alias, why)
		}
		if other, taken := aliases[l.Alias]; taken {
			c.Problem(p, "alias %s is %s too", l.Alias, other.Target())
		}
		aliases[l.Alias] = l
		if other, ok := c.app.Services[l.Alias]; ok && (l.App != "" || other.Name != l.Service) {
			c.Problem(p, "alias %s is the name of another service", l.Alias)
		}
	}
}

// linkTarget reports whether the link leads somewhere.
func (c *serviceCheck) linkTarget(l Link, p Path) bool {
	if l.App == "" {
		if l.Service == c.Name {
			c.Problem(p, "links to itself")
			return false
		}
		return c.exists(l.Service, p)
	}
	if l.App == c.app.Name {
		c.Problem(p, "%s is this app: use links", l.App)
		return false
	}
	for _, name := range []string{l.App, l.Service} {
		if why := labelFault(name); why != "" {
			c.Problem(p, "%q %s", name, why)
			return false
		}
	}
	return true
}

// exists reports a service that is not there.
func (c *serviceCheck) exists(service string, p Path) bool {
	if _, ok := c.app.Services[service]; ok {
		return true
	}
	switch near := Nearest(service, slices.Collect(maps.Keys(c.app.Services))); {
	case c.Inactive[service]:
		c.Problem(p, "service %s is in profiles that are not active", service)
	case near != "":
		c.Problem(p, "there is no service %s, did you mean %s?", service, near)
	default:
		c.Problem(p, "there is no service %s", service)
	}
	return false
}

func (c *serviceCheck) dependencies() {
	for _, name := range slices.Sorted(maps.Keys(c.DependsOn)) {
		d := c.DependsOn[name]
		p := c.path.To("depends_on", name)
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

func (c *serviceCheck) condition(d Dependency, on Service, p Path) {
	switch d.Condition {
	case Started:
	case Healthy:
		if on.NetworkMode != "" {
			c.Problem(p, "%s is not on the overlay, so nobody sees whether it is healthy", on.Name)
		}
		if h := on.Health; h != nil && len(h.Test) > 0 && h.Test[0] == "NONE" {
			c.Problem(p, "%s has its health check disabled and is never healthy", on.Name)
		}
	case Completed:
		if on.Restart.Condition == RestartAny {
			c.Problem(p, "%s is always started again and never completes; give it restart: \"no\" or on-failure", on.Name)
		}
	default:
		c.Problem(p, "condition %q is not supported", d.Condition)
	}
}
