package app

import (
	"maps"
	"slices"
)

func (c *serviceCheck) networks() {
	mode := c.path.To("network_mode")
	c.oneOf(mode, "mode", c.NetworkMode, "", NetworkNone, NetworkHost, NetworkBridge)
	if c.NetworkMode != "" && (len(c.Networks) > 0 || len(c.Links) > 0) {
		c.Problem(mode, "%s cannot be combined with networks and links", c.NetworkMode)
	}
	p := c.path.To("networks")
	if c.Interface != "" && (!interfaces.MatchString(c.Interface) || c.Interface == "lo") {
		c.Problem(p, "interface_name %q is not a name of at most 15 letters, digits, dots, dashes and underscores, other than lo", c.Interface)
	}
	if c.Interface != "" && c.NetworkMode != "" {
		c.Problem(mode, "%s cannot be combined with interface_name", c.NetworkMode)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Networks)) {
		if !networkName.MatchString(name) {
			c.Problem(p, "%q is not a valid network name", name)
		}
		for _, alias := range c.Networks[name] {
			c.dnsName(p, "alias", alias)
			c.reachable(p, "alias", alias)
		}
	}
}

func (c *serviceCheck) links() {
	aliases := map[string]Link{}
	for _, l := range c.Links {
		p := c.path.To("links", l.Target())
		if l.App != "" {
			p = c.path.To("external_links", l.Target())
		}
		if !c.linkTarget(l, p) || l.Alias == "" {
			continue
		}
		c.dnsName(p, "alias", l.Alias)
		c.reachable(p, "alias", l.Alias)
		if other, taken := aliases[l.Alias]; taken {
			c.Problem(p, "alias %s is the alias of %s too", l.Alias, other.Target())
		}
		aliases[l.Alias] = l
		if other, ok := c.app.Services[l.Alias]; ok && (l.App != "" || other.Name != l.Service) {
			c.Problem(p, "alias %s is the name of another service", l.Alias)
		}
	}
}

// linkTarget returns whether a link can lead to a service, and reports it if not.
func (c *serviceCheck) linkTarget(l Link, p Path) bool {
	switch {
	case l.App == "" && l.Service == c.Name:
		c.Problem(p, "the service links to itself")
		return false
	case l.App == "":
		return c.exists(l.Service, p)
	case l.App == c.app.Name:
		c.Problem(p, "%s is this app: use links", l.App)
		return false
	}
	return c.label(p, "app name", l.App) && c.label(p, "service name", l.Service)
}

// exists returns whether the app has a service, and reports it if not.
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
		p := c.path.To("depends_on", name)
		linked := slices.ContainsFunc(c.Links, func(l Link) bool { return l.App == "" && l.Service == name })
		if _, ok := c.app.Services[name]; !ok && linked {
			continue // links has reported it
		}
		if c.exists(name, p) {
			c.condition(c.DependsOn[name].Condition, c.app.Services[name], p)
		}
	}
}

// condition reports a condition that the other service can never meet.
func (c *serviceCheck) condition(condition string, other Service, p Path) {
	c.oneOf(p, "condition", condition, Started, Healthy, Completed)
	if condition == Healthy && other.NetworkMode != "" {
		c.Problem(p, "%s is not on the overlay, so the linkers do not see whether it is healthy", other.Name)
	}
	if h := other.Health; condition == Healthy && h != nil && len(h.Test) > 0 && h.Test[0] == "NONE" {
		c.Problem(p, "%s has its health check disabled and is never healthy", other.Name)
	}
	if condition == Completed && other.Restart.Condition == RestartAny {
		c.Problem(p, "%s is always started again and never completes; give it restart: \"no\" or on-failure", other.Name)
	}
}
