package framework_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/frameworktest"
)

// A newer master may send kinds of events, states and reasons that this program does not know.
func TestWhatANewerMasterSaysIsAcknowledgedAndDoesNoHarm(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		before := b.cluster.Running()
		for _, id := range slices.Sorted(maps.Keys(before)) {
			b.cluster.SayNewer(id)
		}
		time.Sleep(time.Second)
		if waiting := b.cluster.Unacknowledged(); len(waiting) > 0 {
			t.Errorf("updates in an unknown state are not acknowledged: %v", waiting)
		}
		time.Sleep(10 * time.Minute) // the framework reconciles meanwhile
		if after := b.cluster.Running(); !maps.Equal(before, after) {
			t.Errorf("these tasks run: %v, want the same as before: %v", after, before)
		}
		if s := b.awaitUp("shop"); s.Failed != "" {
			t.Errorf("the app is shown as\n%s", show(s))
		}
		b.cluster.EndTaskFor(slices.Min(slices.Collect(maps.Keys(before))), mesos.TaskStatus_Reason(9999))
		time.Sleep(5 * time.Second)
		b.awaitUp("shop")
		if n := len(b.cluster.Launches()); n != len(before)+1 {
			t.Errorf("%d tasks were launched, want one more than %d for the task that ended for an unknown reason", n, len(before))
		}
		if waiting := b.cluster.Unacknowledged(); len(waiting) > 0 {
			t.Errorf("the end for an unknown reason is not acknowledged: %v", waiting)
		}
	})
}
