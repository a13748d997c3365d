package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

const (
	commandWait = 5 * time.Second  // for the answer of the framework to one try
	tries       = 200              // before a command counts as never accepted
	again       = 3 * time.Second  // between two tries
	names       = 3                // of apps
	steadyFor   = 10 * time.Minute // after which nothing may have changed any more
)

// try repeats a command until the framework has accepted or refused it, as a user does. The
// framework may end meanwhile, and then nobody knows whether the command had an effect.
func (s *scenario) try(what string, command func(context.Context) error) error {
	for range tries {
		ctx, cancel := context.WithTimeout(s.t.Context(), commandWait)
		err := command(ctx)
		cancel()
		if !errors.Is(err, api.ErrUnavailable) {
			return err
		}
		s.pass(again)
	}
	s.t.Fatalf("%s: the framework has not answered", what)
	return nil
}

// put puts an app. While it is still being removed, the framework refuses that.
func (s *scenario) put(a app.App) bool {
	s.cluster.Allow(a.Name)
	err := s.try("put "+a.Name, func(ctx context.Context) error {
		_, err := s.f.PutApp(ctx, a)
		return err
	})
	switch {
	case errors.Is(err, api.ErrConflict):
		s.forbid(a.Name)
		return false
	case err != nil:
		s.t.Errorf("put %s: %v", a.Name, err)
		return false
	}
	s.apps[a.Name] = a
	return true
}

// remove removes an app. From its answer on none of its tasks may be launched, but those that
// are stored: their ACCEPT may be on its way, and a KILL follows it.
func (s *scenario) remove(name string) {
	err := s.try("remove "+name, func(ctx context.Context) error { return s.f.DeleteApp(ctx, name, s.random.IntN(2) == 0) })
	if err != nil && !errors.Is(err, api.ErrNotFound) {
		s.t.Errorf("remove %s: %v", name, err)
	}
	delete(s.apps, name)
	s.downed[name] = true
	s.forbid(name)
}

func (s *scenario) forbid(name string) {
	var stored []string
	for _, key := range s.memory.Keys("tasks/" + name + ".") {
		stored = append(stored, strings.TrimPrefix(key, "tasks/"))
	}
	s.cluster.Forbid(name, stored)
}

func (s *scenario) putRandom() string {
	name := fmt.Sprintf("app%d", 1+s.random.IntN(names))
	a := randomApp(s.random, name, s.hosts)
	if !s.put(a) {
		return "put " + name + ", which is refused"
	}
	return "put " + describe(a)
}

func (s *scenario) anApp() string {
	list := sorted(s.apps)
	if len(list) == 0 {
		return ""
	}
	return list[s.random.IntN(len(list))]
}

func (s *scenario) change() string {
	name := s.anApp()
	if name == "" {
		return ""
	}
	a := changed(s.random, s.apps[name], s.hosts)
	if !s.put(a) {
		return "change " + name + ", which is refused"
	}
	return "change " + describe(a)
}

func (s *scenario) putAgain() string {
	name := s.anApp()
	if name == "" {
		return ""
	}
	s.put(s.apps[name])
	return "put " + name + " again"
}

func (s *scenario) removeRandom() string {
	name := s.anApp()
	if name == "" {
		return ""
	}
	s.remove(name)
	return "remove " + name
}
