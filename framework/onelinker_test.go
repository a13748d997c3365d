package framework_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/frameworktest"
)

// A framework on a Mesos cluster has one linker, that of its own machine.
func TestWithOneLinkerTheHostsWhoseOutputIsMissingAreNamed(t *testing.T) {
	options := frameworktest.Options{Hosts: []string{"h1", "h2"}, Behave: behave(map[string]frameworktest.Behaviour{
		"cache:1": {Start: 100 * time.Millisecond, Run: 50 * time.Millisecond, Exit: 3},
	})}
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, options)
		b.hosts = []string{"h1"} // those whose linkers it gets
		b.start()
		b.put(shop())
		there := func(i api.Instance) bool { return i.Host == "h2" && i.Container != "" }
		s := b.await("shop", "failed", time.Minute, func(s api.Status) bool {
			for _, i := range s.Instances {
				if there(i) && i.State != api.StateFailed {
					return s.Failed != ""
				}
			}
			return false
		})
		notices := map[string]bool{}
		err := b.f.Logs(t.Context(), "shop", api.LogQuery{}, func(l api.LogLine) error {
			if l.Stream == api.StreamNotice {
				notices[l.Service] = strings.Contains(l.Line, "the linker of h2") && strings.Contains(l.Line, "docker logs ")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for _, i := range s.Instances {
			if there(i) && i.Task != "" && !notices[i.Service] {
				t.Errorf("logs do not say why there is no output of %s.%d on h2; they say so of %v", i.Service, i.Slot, notices)
			}
			if i.Host == "h2" && i.State == api.StateFailed && !strings.Contains(strings.Join(i.Log, " "), "the linker of h2") {
				t.Errorf("%s.%d failed on h2 with the last lines %q, want that they name the host", i.Service, i.Slot, i.Log)
			}
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}
