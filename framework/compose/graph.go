package compose

import (
	"maps"
	"slices"

	"tombolo/framework/app"
)

// breakLinks drops the order that links imply where two services, directly or
// not, link each other: neither can be first, and DNS needs no order.
func (m *mapping) breakLinks(a *app.App) {
	for _, from := range slices.Sorted(maps.Keys(a.Services)) {
		for _, to := range slices.Sorted(maps.Keys(a.Services[from].DependsOn)) {
			if !m.implied[[2]string{from, to}] || len(a.DependencyPath(to, from)) == 0 {
				continue
			}
			delete(a.Services[from].DependsOn, to)
			if from == to {
				continue // check says that nothing links to itself
			}
			m.report.Warn(app.Path{"services", from, "links", to}, "%s needs %s in turn, so %s does not wait for it", to, from, from)
		}
	}
	for name, s := range a.Services {
		s.DependsOn = nonEmpty(s.DependsOn)
		a.Services[name] = s
	}
}
