package app

import (
	"maps"
	"slices"
	"strings"
)

// DependencyPath is a shortest way from one service to another along depends_on, both
// included, or nil.
func (a *App) DependencyPath(from, to string) []string {
	came := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		here := queue[0]
		if here == to {
			return trace(came, to)
		}
		for _, next := range slices.Sorted(maps.Keys(a.Services[here].DependsOn)) {
			if _, seen := came[next]; !seen {
				came[next] = here
				queue = append(queue, next)
			}
		}
	}
	return nil
}

func trace(came map[string]string, to string) []string {
	var way []string
	for here := to; here != ""; here = came[here] {
		way = append(way, here)
	}
	slices.Reverse(way)
	return way
}

// cycles reports every cycle of depends_on once, at its first service by name.
func (r *Report) cycles(a *App) {
	reported := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(a.Services)) {
		for _, to := range slices.Sorted(maps.Keys(a.Services[from].DependsOn)) {
			way := a.DependencyPath(to, from)
			if len(way) == 0 || slices.ContainsFunc(way, func(s string) bool { return reported[s] }) {
				continue
			}
			for _, s := range way {
				reported[s] = true
			}
			r.Problem(Path{"services", from, "depends_on", to}, "the services wait for each other: %s -> %s", from, strings.Join(way, " -> "))
		}
	}
}
