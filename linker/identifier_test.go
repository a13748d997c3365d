package linker

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// A name or labels that fit in no record cost the container its name or its identity,
// and have no effect on other containers.
func TestNamesAndLabelsThatDoNotFit(t *testing.T) {
	h := newTestHost(t, 6)
	h.start(t)
	networks := map[string][]string{}
	for n := range 8 { // each list is within its bounds, but all together are too large
		for i := range record.MaxItems {
			name := strings.Repeat(strings.Repeat("n", 60)+".", 3)
			networks[fmt.Sprint(n)] = append(networks[fmt.Sprint(n)], fmt.Sprint(name, i))
		}
	}
	raw, err := json.Marshal(networks)
	if err != nil {
		t.Fatal(err)
	}
	huge := labels("huge")
	huge[record.LabelNetworks] = string(raw)
	long := h.run(t, strings.Repeat("x", 300), labels("long"))
	big := h.run(t, "huge", huge)
	var got *record.Endpoint
	eventually(t, "both endpoints are announced", func() bool {
		got = h.localEndpoint(long)
		other := h.localEndpoint(big)
		return got != nil && got.Running && other != nil && other.Running
	})
	if got.App != "shop" || got.Service != "long" || got.ContainerName != "" {
		t.Errorf("the container with the long name has the record %+v, want its labels without its name", got)
	}
	if e := h.localEndpoint(big); e.App != "" || len(e.Networks) > 0 || !e.Addr4.IsValid() {
		t.Errorf("the container with the large labels has the record %+v, want that of a foreign container", e)
	} else if !e.Internal {
		t.Error("the container with the large labels has egress, want none: nobody knows what its labels forbid")
	}
	if problems := fmt.Sprint(h.problems.List()); !strings.Contains(problems, "labels-unreadable huge: ") {
		t.Errorf("the linker has the problems %q, want one that names the container huge", problems)
	}
	h.stop()
}

// A container that the data plane could not complete is named as people know it.
func TestIncompleteContainersAreNamed(t *testing.T) {
	known := func(id string) *record.Endpoint {
		return map[string]*record.Endpoint{"known": {App: "shop", Service: "web", ContainerName: "shop-web-1"}}[id]
	}
	why := errors.New("sandbox is missing")
	problems := problem.NewSet(slog.New(slog.DiscardHandler))
	problems.Report(problem.ContainerIncomplete, incomplete(map[string]error{"known": why, "0123456789abcdef": why}, known))
	var subjects []string
	for _, p := range problems.List() {
		subjects = append(subjects, p.Subject+": "+p.Reason)
	}
	want := []string{"endpoint 0123456789ab: sandbox is missing", "service web of app shop (container shop-web-1): sandbox is missing"}
	if diff := cmp.Diff(want, subjects); diff != "" {
		t.Errorf("the problems name other containers (-want +got):\n%s", diff)
	}
	if err := incomplete(nil, known); err != nil {
		t.Errorf("incomplete of nothing = %v, want nil", err)
	}
}
