package framework

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
	"tombolo/framework/store"
)

var dbTask = store.Task{App: "shop", Service: "db", Slot: 1, Generation: 5, Born: 3}

func TestAnonymousVolumesGetTheNameOfTheirSlot(t *testing.T) {
	wanted := app.App{Name: "shop", Services: map[string]app.Service{"db": {Name: "db", Mounts: []app.Mount{
		{Type: app.MountVolume, Source: "shop_data", Target: "/data"}, {Type: app.MountVolume, Target: "/log"},
	}}}}
	named := withSlotVolumes(wanted, dbTask)
	name := slotVolumes(dbTask, app.Service{}).Name("/log")
	want := []app.Flag{
		{Name: "mount", Value: "type=volume,source=shop_data,target=/data"},
		{Name: "mount", Value: "type=volume,source=" + name + ",target=/log,volume-label=tombolo.app=shop"},
	}
	if diff := cmp.Diff(want, named.MountFlags("db")); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	if wanted.Services["db"].Mounts[1].Source != "" || wanted.Volumes != nil {
		t.Error("the app itself was changed")
	}
	later := dbTask
	later.Generation = 6
	if slotVolumes(later, app.Service{}).Name("/log") != name {
		t.Error("the next task of the slot has another volume")
	}
	if later.Born = 6; slotVolumes(later, app.Service{}).Name("/log") == name {
		t.Error("a new slot has the volume of the old one")
	}
}

func TestARunningContainerTellsWhichVolumesItsSlotHas(t *testing.T) {
	for _, c := range []struct {
		name  string
		state mesos.TaskState
		data  string
		want  []string
	}{
		{"those of the slot", mesos.TASK_RUNNING, `[{"Mounts":[{"Type":"volume","Name":"shop_db-1.g3_b"},{"Type":"volume","Name":"shop_db-1.g3_a"},
			{"Type":"volume","Name":"shop_data"},{"Type":"bind","Name":"shop_db-1.g3_c"}]}]`, []string{"shop_db-1.g3_a", "shop_db-1.g3_b"}},
		{"none before it runs", mesos.TASK_STARTING, `[{"Mounts":[{"Type":"volume","Name":"shop_db-1.g3_b"}]}]`, nil},
		{"none without data", mesos.TASK_RUNNING, ``, nil},
		{"none of data of another kind", mesos.TASK_RUNNING, `{"Mounts":7}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := keptVolumes(dbTask, mesos.TaskStatus{State: &c.state, Data: []byte(c.data)})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("volumes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASlotStaysWithItsVolumesWhileTheirHostIsThere(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	slot := store.Slot{App: "shop", Service: "db", Slot: 1, Generation: 5, Host: "h1", Kept: []string{"v"}, Ended: now}
	for _, c := range []struct {
		name   string
		change func(*model, *store.Slot, *app.Service)
		want   string
	}{
		{"and offers", nil, "h1"},
		{"and has not offered for a short time", func(m *model, _ *store.Slot, _ *app.Service) { m.hosts["h1"].agent = "" }, "h1"},
		{"unless it has not offered for long", func(m *model, s *store.Slot, _ *app.Service) {
			m.hosts["h1"].agent, s.Ended = "", now.Add(-keepWait)
		}, ""},
		{"unless it is forgotten", func(m *model, _ *store.Slot, _ *app.Service) { delete(m.hosts, "h1") }, ""},
		{"unless its last task is lost", func(m *model, _ *store.Slot, _ *app.Service) {
			m.tasks["shop.db.1.g5"] = &task{}
		}, ""},
		{"unless its service may not run there any more", func(_ *model, _ *store.Slot, s *app.Service) {
			s.Constraints = []app.Constraint{{Attribute: "hostname", Op: "!=", Value: "h1"}}
		}, ""},
		{"unless it has none", func(_ *model, s *store.Slot, _ *app.Service) { s.Kept = nil }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, s, service := newModel(), slot, app.Service{Name: "db"}
			m.hosts["h1"] = &host{name: "h1", agent: "a1"}
			if c.change != nil {
				c.change(m, &s, &service)
			}
			p := &planner{model: m, out: &outbox{}}
			if got := p.keeper(s, service, now); got != c.want {
				t.Errorf("the next task has to run on %q, want %q", got, c.want)
			}
		})
	}
}
