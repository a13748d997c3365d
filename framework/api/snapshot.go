package api

import (
	"iter"

	iradix "github.com/hashicorp/go-immutable-radix/v2"

	"tombolo/framework/app"
)

// Snapshot is the state of the apps and their cluster at one moment. It never changes.
type Snapshot struct {
	Info Info
	Apps Apps
}

// App is an app as a Snapshot shows it.
type App struct {
	Status Status
	Spec   app.App // as last put
}

// Apps are apps by name. With and Without return changed sets that share with the earlier one
// what has not changed. The zero value is empty.
type Apps struct{ tree *iradix.Tree[App] }

// AppsOf returns the set of some apps.
func AppsOf(list ...App) (set Apps) {
	for _, a := range list {
		set = set.With(a)
	}
	return set
}

func (s Apps) nodes() *iradix.Tree[App] {
	if s.tree == nil {
		return iradix.New[App]()
	}
	return s.tree
}

// Len returns the number of apps.
func (s Apps) Len() int { return s.nodes().Len() }

// Get returns an app; ok reports whether it is there.
func (s Apps) Get(name string) (a App, ok bool) { return s.nodes().Get([]byte(name)) }

// All returns the apps, ordered by name.
func (s Apps) All() iter.Seq2[string, App] {
	return func(yield func(string, App) bool) {
		s.nodes().Root().Walk(func(name []byte, a App) bool { return !yield(string(name), a) })
	}
}

// With returns the set with an app in the place of what has the name in its Status.
func (s Apps) With(a App) Apps {
	tree, _, _ := s.nodes().Insert([]byte(a.Status.App), a)
	return Apps{tree}
}

// Without returns the set without an app.
func (s Apps) Without(name string) Apps {
	tree, _, _ := s.nodes().Delete([]byte(name))
	return Apps{tree}
}
