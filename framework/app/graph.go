package app

import (
	"maps"
	"slices"
	"strings"
)

// DependencyPath returns the services on a shortest way along depends_on from one
// service to another, both included. It returns nil if there is no way.
func (a *App) DependencyPath(from, to string) []string {
	previous := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		here := queue[0]
		if here == to {
			var way []string
			for ; here != ""; here = previous[here] {
				way = append(way, here)
			}
			slices.Reverse(way)
			return way
		}
		for _, next := range slices.Sorted(maps.Keys(a.Services[here].DependsOn)) {
			if _, seen := previous[next]; !seen {
				previous[next] = here
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// cycles reports every cycle of depends_on once, at its first service by name.
func (c *check) cycles() {
	reported := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(c.app.Services)) {
		for _, to := range slices.Sorted(maps.Keys(c.app.Services[from].DependsOn)) {
			way := c.app.DependencyPath(to, from)
			if way == nil || slices.ContainsFunc(way, func(s string) bool { return reported[s] }) {
				continue
			}
			for _, s := range way {
				reported[s] = true
			}
			c.Problem(Path{"services", from, "depends_on", to}, "the services wait for each other: %s -> %s", from, strings.Join(way, " -> "))
		}
	}
}

// MayWaitFor reports whether the processes of a service may need those of another one before
// they can run: the file opens a way there, or names a dependency. A service that uses the
// network of its host, or the Engine's bridge, may need any published port.
func (a *App) MayWaitFor(service, other string) bool {
	from, to := a.Services[service], a.Services[other]
	if _, depends := from.DependsOn[other]; depends || service == other {
		return true
	}
	if from.NetworkMode == NetworkNone || to.NetworkMode == NetworkNone {
		return false
	}
	if from.NetworkMode != "" || to.NetworkMode != "" {
		return to.NetworkMode == NetworkHost || len(to.Ports) > 0
	}
	if slices.ContainsFunc(from.Links, func(l Link) bool { return (l.App == "" || l.App == a.Name) && l.Service == other }) {
		return true
	}
	for network := range from.Networks {
		if _, shared := to.Networks[network]; shared && !a.Strict {
			return true
		}
	}
	return false
}
