package app

import (
	"maps"
	"slices"
	"strings"
)

// breakLinks drops the order that links imply where two services, directly or
// not, link each other: neither can be first, and DNS needs no order.
func (m *mapping) breakLinks(a *App) {
	for _, from := range slices.Sorted(maps.Keys(a.Services)) {
		for _, to := range slices.Sorted(maps.Keys(a.Services[from].DependsOn)) {
			if !m.implied[[2]string{from, to}] || len(cycle(a, to, from)) == 0 {
				continue
			}
			delete(a.Services[from].DependsOn, to)
			if from == to {
				continue // check says that nothing links to itself
			}
			m.report.warn(at("services", from, "links", to), "%s needs %s in turn, so %s does not wait for it", to, from, from)
		}
	}
	for name, s := range a.Services {
		s.DependsOn = nonEmpty(s.DependsOn)
		a.Services[name] = s
	}
}

// cycle is a shortest way from one service to another along depends_on, both
// included, or nil.
func cycle(a *App, from, to string) []string {
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
func (r *report) cycles(a *App) {
	reported := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(a.Services)) {
		for _, to := range slices.Sorted(maps.Keys(a.Services[from].DependsOn)) {
			way := cycle(a, to, from)
			if len(way) == 0 || slices.ContainsFunc(way, func(s string) bool { return reported[s] }) {
				continue
			}
			for _, s := range way {
				reported[s] = true
			}
			r.problem(at("services", from, "depends_on", to), "the services wait for each other: %s -> %s", from, strings.Join(way, " -> "))
		}
	}
}
