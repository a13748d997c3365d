package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/lab"
	"tombolo/test/chaos/flow"
)

func names(plan []round) (out []string) {
	for _, r := range plan {
		out = append(out, r.fault.name)
	}
	return out
}

func TestASeedGivesTheSamePlan(t *testing.T) {
	one, _ := newPlan(7, 50, "")
	same, _ := newPlan(7, 50, "")
	other, _ := newPlan(8, 50, "")
	if diff := cmp.Diff(names(one), names(same)); diff != "" {
		t.Errorf("two plans of one seed differ:\n%s", diff)
	}
	if cmp.Equal(names(one), names(other)) {
		t.Error("the plans of two seeds are the same")
	}
	if _, err := newPlan(7, 1, "no such fault"); err == nil {
		t.Error("a plan with an unknown fault is no error")
	}
}

func TestEveryFaultHasItsTurn(t *testing.T) {
	plan, err := newPlan(7, len(faults), "")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range names(plan) {
		if seen[name] {
			t.Errorf("%s has a second turn before all others have one, or its name is not its own", name)
		}
		seen[name] = true
	}
}

// A connection may be lost only with the host that the fault kills.
func TestConnectionsThatMayBeLost(t *testing.T) {
	h2 := lab.Host{Name: "h2"}
	before := []flow.State{{From: "h1", Lost: []string{"to h3: long ago"}}}
	after := []flow.State{
		{From: "h1", Lost: []string{"to h3: long ago", "12:00 to h2: reset"}},
		{From: "h2", Lost: []string{"12:00 to h3: reset"}},
		{From: "h3", Lost: []string{"12:00 to h1: reset"}},
	}
	for kills, want := range map[bool]int{false: 3, true: 1} {
		if got := lost(before, after, fault{kills: kills}, h2); len(got) != want {
			t.Errorf("a fault that kills (%v) has lost %q, want %d connections", kills, got, want)
		}
	}
}
