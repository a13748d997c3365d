package framework

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

// The bounds of an app that the framework takes.
const (
	maxServices = 500
	maxReplicas = 10_000
)

// check refuses what cannot have come out of the app package: the API is open to
// others as well.
func check(wanted app.App) error {
	errs := []error{record.CheckLabel(wanted.Name)}
	if len(wanted.Services) == 0 || len(wanted.Services) > maxServices {
		errs = append(errs, fmt.Errorf("%d services: 1 to %d can be had", len(wanted.Services), maxServices))
	}
	for _, name := range slices.Sorted(maps.Keys(wanted.Services)) {
		if err := checkService(wanted, name); err != nil {
			errs = append(errs, fmt.Errorf("service %.64q: %w", name, err))
		}
	}
	if len(errs) == 1 && errs[0] == nil && cyclic(wanted) {
		errs = append(errs, errors.New("depends_on forms a cycle"))
	}
	return errors.Join(errs...)
}

func checkService(wanted app.App, name string) error {
	s := wanted.Services[name]
	errs := []error{record.CheckLabel(name)}
	if s.Name != name {
		errs = append(errs, fmt.Errorf("is named %.64q", s.Name))
	}
	if s.Image == "" {
		errs = append(errs, errors.New("no image"))
	}
	if s.Replicas < 0 || s.Replicas > maxReplicas {
		errs = append(errs, fmt.Errorf("%d replicas: 0 to %d can be had", s.Replicas, maxReplicas))
	}
	if s.NetworkMode != "" && s.NetworkMode != networkNone {
		errs = append(errs, fmt.Errorf("network mode %.64q", s.NetworkMode))
	}
	for _, dependency := range slices.Sorted(maps.Keys(s.DependsOn)) {
		if _, ok := wanted.Services[dependency]; !ok && !s.DependsOn[dependency].Optional {
			errs = append(errs, fmt.Errorf("depends on %.64q, which is no service", dependency))
		}
		switch s.DependsOn[dependency].Condition {
		case app.Started, app.Healthy, app.Completed:
		default:
			errs = append(errs, fmt.Errorf("unknown condition %.64q", s.DependsOn[dependency].Condition))
		}
	}
	switch s.Restart.Condition {
	case app.RestartAny, app.RestartNone, app.RestartOnFailure:
	default:
		errs = append(errs, fmt.Errorf("unknown restart condition %.64q", s.Restart.Condition))
	}
	return errors.Join(errs...)
}

func cyclic(wanted app.App) bool {
	const open, closed = 1, 2
	state := map[string]int{}
	var visit func(string) bool
	visit = func(name string) bool {
		switch state[name] {
		case open:
			return true
		case closed:
			return false
		}
		state[name] = open
		for dependency := range wanted.Services[name].DependsOn {
			if visit(dependency) {
				return true
			}
		}
		state[name] = closed
		return false
	}
	for name := range wanted.Services {
		if visit(name) {
			return true
		}
	}
	return false
}
