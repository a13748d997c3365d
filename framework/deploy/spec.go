package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"tombolo/framework/app"
)

// Specs digests what each service's containers are made of. Two digests differ
// when a running container cannot be made into what is wanted but by replacing
// it: replicas, restart policy, order and what the app record carries (networks,
// links, exports) do not count. A dependency with `restart: true` counts as part
// of the service.
func Specs(wanted app.App) map[string]string {
	specs := map[string]string{}
	for _, name := range order(wanted) {
		service := wanted.Services[name]
		sum := sha256.New()
		encoder := json.NewEncoder(sum)
		_ = encoder.Encode(essence(service)) // a hash takes everything, and all of it is JSON
		for _, dependency := range sorted(service.DependsOn) {
			if service.DependsOn[dependency].Restart {
				_ = encoder.Encode(specs[dependency])
			}
		}
		specs[name] = hex.EncodeToString(sum.Sum(nil)[:8])
	}
	return specs
}

func essence(s app.Service) app.Service {
	s.Replicas, s.Global = 0, false
	s.Build, s.Restart, s.DependsOn = nil, app.Restart{}, nil
	s.Links, s.Export, s.Networks, s.Expose = nil, nil, nil, nil
	return s
}

// order sorts the services so that each comes after those it depends on; within
// that by name. A cycle, which the app package refuses, is cut somewhere.
func order(wanted app.App) []string {
	var list []string
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		service, ok := wanted.Services[name]
		if !ok {
			return
		}
		for _, dependency := range sorted(service.DependsOn) {
			visit(dependency)
		}
		list = append(list, name)
	}
	for _, name := range sorted(wanted.Services) {
		visit(name)
	}
	return list
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
