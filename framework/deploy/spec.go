package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"tombolo/framework/app"
)

// Specs returns a digest of each service. If the digest of a service changes, its
// containers must be replaced. Some changes need no new container, and so leave the
// digest as it is: of replicas, of the restart policy, of depends_on, and of all that
// the app record carries (networks, links, exports, endpoint_mode). If a dependency has
// `restart: true`, the digest of the other service counts, too.
func Specs(wanted app.App) map[string]string {
	specs := map[string]string{}
	for _, name := range startOrder(wanted) {
		service := wanted.Services[name]
		sum := sha256.New()
		encoder := json.NewEncoder(sum)
		_ = encoder.Encode(containerSpec(service)) // neither the hash nor the JSON of a Service can fail
		for _, dependency := range sorted(service.DependsOn) {
			if service.DependsOn[dependency].Restart {
				_ = encoder.Encode(specs[dependency])
			}
		}
		specs[name] = hex.EncodeToString(sum.Sum(nil)[:8])
	}
	return specs
}

func containerSpec(s app.Service) app.Service {
	s.Replicas, s.Global = 0, false
	s.Build, s.Restart, s.DependsOn = nil, app.Restart{}, nil
	s.Links, s.Export, s.Networks, s.Expose, s.DNSRR = nil, nil, nil, nil, false
	return s
}

// startOrder returns the services, each after its dependencies, else by name. App.Check
// refuses cycles; here, one of the services in a cycle comes before its dependency.
func startOrder(wanted app.App) []string {
	var list []string
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		service, ok := wanted.Services[name]
		if !ok || seen[name] {
			return
		}
		seen[name] = true
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

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
