package linker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// A record has room for a few troubles. Many of one kind leave room for what causes them.
func TestTroublesAreOfDifferentKinds(t *testing.T) {
	var all []problem.Problem
	for i := range record.MaxTroubles + 2 {
		all = append(all, problem.New(problem.NamesUnanswered, problem.Found{Subject: fmt.Sprint("web-", i), Reason: "dropped"}))
	}
	all = append(all,
		problem.New(problem.PortConflict, problem.Found{Subject: "80/tcp", Reason: "no outage"}),
		problem.New(problem.PoolDropping, problem.Found{Reason: "a rule"}))
	got := troublesOf(all)
	if len(got) != record.MaxTroubles || !strings.HasPrefix(got[len(got)-1], "pool-dropping: a rule") || !strings.HasPrefix(got[0], "names-unanswered web-0") {
		t.Errorf("the troubles are %q, want %d: the first container, and in the end the rule", got, record.MaxTroubles)
	}
	if diff := cmp.Diff([]string{"pool-dropping: a rule"}, troublesOf(all[len(all)-2:])); diff != "" {
		t.Errorf("troubles of two problems, of which one is an outage (-want +got):\n%s", diff)
	}
}
