package framework

import (
	"fmt"
	"maps"
	"slices"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

// warnings names the links of an app to other apps that lead nowhere as things are:
// nothing is wrong with the app, and the other one may come, or consent, at any time.
func (f *Framework) warnings(wanted app.App) (list []string) {
	known := f.catalog()
	if known == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(wanted.Services)) {
		for _, l := range wanted.Services[name].Links {
			if l.App == "" || l.App == wanted.Name {
				continue
			}
			switch there, consents := consent(known, l, wanted.Name); {
			case !there:
				list = append(list, fmt.Sprintf("%s links to service %s of app %s, which is not there", name, l.Service, l.App))
			case !consents:
				list = append(list, fmt.Sprintf("%s links to service %s of app %s, whose file does not export it to %s", name, l.Service, l.App, wanted.Name))
			}
		}
	}
	return list
}

// catalog is what a linker that answers knows, or nil.
func (f *Framework) catalog() *record.Snapshot {
	for _, w := range f.linkers {
		if w.up {
			return w.snapshot
		}
	}
	return nil
}

// consent reports whether a link's service is known, and whether it consents to be
// linked from an app. Containers that something else launched have no app record.
func consent(s *record.Snapshot, l app.Link, from string) (there, consents bool) {
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
