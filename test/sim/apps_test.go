package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"tombolo/framework/app"
)

// kinds are the kinds of services that random apps have, by name. Each changes a plain service.
var kinds = map[string]func(*rand.Rand, *app.Service, []string){
	"web":    func(r *rand.Rand, s *app.Service, _ []string) { s.Replicas = r.IntN(5) },
	"agents": func(_ *rand.Rand, s *app.Service, _ []string) { s.Global, s.Replicas = true, 0 },
	"db": func(_ *rand.Rand, s *app.Service, _ []string) {
		s.Mounts = []app.Mount{{Type: app.MountVolume, Source: "data", Target: "/data"}}
	},
	"edge": func(r *rand.Rand, s *app.Service, _ []string) {
		s.Replicas = r.IntN(3)
		s.Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}
	},
	"local": func(r *rand.Rand, s *app.Service, hosts []string) {
		s.Replicas = 1 + r.IntN(2)
		s.Constraints = []app.Constraint{{Attribute: "hostname", Op: []string{"==", "!="}[r.IntN(2)], Value: hosts[r.IntN(len(hosts))]}}
	},
	"job":  func(_ *rand.Rand, s *app.Service, _ []string) { s.Restart.Condition = app.RestartOnFailure },
	"solo": func(_ *rand.Rand, s *app.Service, _ []string) { s.NeverReplace = true },
	"big":  func(_ *rand.Rand, s *app.Service, _ []string) { s.Resources.CPUs = 2.5 },
	"huge": func(_ *rand.Rand, s *app.Service, _ []string) { s.Resources.CPUs = 100 }, // fits nowhere
}

// randomApp returns an app with a few services, some of which start after others.
func randomApp(r *rand.Rand, name string, hosts []string) app.App {
	a := app.App{Name: name, Services: map[string]app.Service{}}
	order := slices.Sorted(maps.Keys(kinds))
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for i, kind := range order[:1+r.IntN(3)] {
		s := service(r, kind, name, hosts)
		if i > 0 && r.IntN(2) == 0 {
			s.DependsOn = map[string]app.Dependency{order[0]: {Condition: condition(r, order[0])}}
		}
		a.Services[kind] = s
		if len(s.Mounts) > 0 {
			a.Volumes = map[string]app.Volume{"data": {Name: s.Mounts[0].Source}}
		}
	}
	return a
}

func condition(r *rand.Rand, on string) string {
	if on == "job" {
		return app.Completed
	}
	return []string{app.Started, app.Healthy}[r.IntN(2)]
}

func service(r *rand.Rand, kind, name string, hosts []string) app.Service {
	s := app.Service{
		Name: kind, Image: fmt.Sprintf("%s:%d", kind, r.IntN(3)), Replicas: 1,
		Networks: map[string][]string{name + "_default": nil}, Restart: app.Restart{Condition: app.RestartAny},
	}
	kinds[kind](r, &s, hosts)
	for i := range s.Mounts {
		s.Mounts[i].Source = name + "_" + s.Mounts[i].Source
	}
	for i := range s.Ports {
		s.Ports[i].Host += uint16(name[len(name)-1] - '0') // apps do not share a port
	}
	return s
}

// changed returns the app with another image or number of replicas of one service.
func changed(r *rand.Rand, a app.App, hosts []string) app.App {
	list := slices.Sorted(maps.Keys(a.Services))
	kind := list[r.IntN(len(list))]
	return edit(a, kind, func(s *app.Service) {
		if fresh := service(r, kind, a.Name, hosts); r.IntN(2) == 0 {
			s.Replicas = fresh.Replicas
		} else {
			s.Image = fresh.Image
		}
	})
}

// fitting returns the app without what fits on no host.
func fitting(a app.App) app.App {
	if a.Services["huge"].Name == "" {
		return a
	}
	return edit(a, "huge", func(s *app.Service) { s.Resources.CPUs = 0.1 })
}

func edit(a app.App, name string, fn func(*app.Service)) app.App {
	a.Services = maps.Clone(a.Services)
	s := a.Services[name]
	fn(&s)
	a.Services[name] = s
	return a
}

func describe(a app.App) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		s := a.Services[name]
		parts = append(parts, fmt.Sprintf("%s x%d", s.Image, s.Replicas))
	}
	return a.Name + " (" + strings.Join(parts, ", ") + ")"
}
