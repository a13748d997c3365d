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
