package framework

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
