package framework

import (
	"fmt"
	"maps"
	"slices"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

// warnings names the links of an app to other apps that lead nowhere now. They are no
// errors, because the other app may come, or export its service, at any time. Without a
// catalog there are no warnings.
func warnings(wanted app.App, catalog *record.Snapshot) (list []string) {
	if catalog == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(wanted.Services)) {
		for _, l := range wanted.Services[name].Links {
			if l.App == "" || l.App == wanted.Name {
				continue
			}
			switch exists, exported := lookUp(catalog, l, wanted.Name); {
			case !exists:
				list = append(list, fmt.Sprintf("%s links to service %s of app %s, which is not there", name, l.Service, l.App))
			case !exported:
				list = append(list, fmt.Sprintf("%s links to service %s of app %s, whose file does not export it to %s", name, l.Service, l.App, wanted.Name))
			}
		}
	}
	return list
}

// lookUp reports whether the service that a link leads to exists, and whether it is
// exported to the app with the link. Containers that the framework did not launch have
// no app record, only an endpoint.
func lookUp(s *record.Snapshot, l app.Link, from string) (exists, exported bool) {
	other, service := record.Normal(l.App), record.Normal(l.Service)
	for name, a := range s.Apps {
		for n, spec := range a.Services {
			if record.Normal(name) == other && record.Normal(n) == service {
				return true, spec.Export.Allows(from)
			}
		}
	}
	for _, e := range s.Endpoints {
		if record.Normal(e.App) == other && record.Normal(e.Service) == service {
			return true, e.Export.Allows(from)
		}
	}
	return false, false
}
