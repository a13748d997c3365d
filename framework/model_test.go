package framework

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
)

func TestTheInstancesOfAllAppsTogetherAreBounded(t *testing.T) {
	m := newModel()
	for i := range 10 {
		name := fmt.Sprintf("app%d", i)
		a := app.App{Name: name, Services: map[string]app.Service{"web": {Name: "web", Replicas: 10_000}}}
		if err := m.checkSize(a); err != nil {
			t.Fatalf("an app within the bound is refused: %v", err)
		}
		m.putApp(a, time.Now())
	}
	last := app.App{Name: "last", Services: map[string]app.Service{"web": {Name: "web", Replicas: 1}}}
	if err := m.checkSize(last); !errors.Is(err, api.ErrConflict) {
		t.Errorf("an app beyond the bound is answered with %v, want a conflict", err)
	}
	last.Name = "app0" // a smaller version of another app
	if err := m.checkSize(last); err != nil {
		t.Errorf("an app that becomes smaller is refused: %v", err)
	}
}

// A host whose record was deleted, and that offers nothing, does not keep instances waiting
// for its linker.
func TestHostsThatNobodyKnowsAreForgotten(t *testing.T) {
	m := newModel()
	m.host("h1").agent = "a1" // its linker is not known yet
	m.host("h2")
	m.host("evil")
	m.forgetHosts(func(name string) bool { return name == "h2" })
	if diff := cmp.Diff([]string{"h1", "h2"}, slices.Sorted(maps.Keys(m.hosts))); diff != "" {
		t.Errorf("hosts after their records were deleted (-want +got):\n%s", diff)
	}
}

// Earlier versions stored lines of up to 64 KiB.
func TestLongLinesOfTheStoreAreCut(t *testing.T) {
	m := newModel()
	m.load(&store.State{
		Apps:  map[string]store.App{"shop": {Wanted: app.App{Name: "shop"}}},
		Slots: map[store.SlotKey]store.Slot{{App: "shop", Service: "web", Slot: 1}: {Log: []string{"short", strings.Repeat("x", 64<<10)}}},
	})
	got := m.apps["shop"].slots[deploy.SlotID{Service: "web", Slot: 1}].Log
	if len(got) != 2 || got[0] != "short" || len(got[1]) != maxLine {
		t.Errorf("the slot has %d lines with %d bytes in the last, want 2 and %d", len(got), len(got[1]), maxLine)
	}
}
