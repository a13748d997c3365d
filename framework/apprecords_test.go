package framework

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
	"tombolo/linker/record"
)

func newRecords(epoch uint64) *appRecords {
	r := newAppRecords()
	r.setOwner("F1")
	r.epoch = epoch
	return r
}

func named(apps ...string) (list []*record.App) {
	for _, name := range apps {
		list = append(list, &record.App{Name: name})
	}
	return list
}

// delivered returns the apps of the records, tombstones with a minus, ordered.
func delivered(list []record.Record) string {
	var out []string
	for _, rec := range list {
		if rec.Deleted {
			out = append(out, "-"+rec.Name)
			continue
		}
		out = append(out, rec.Name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestOnlyChangedAppRecordsAreDelivered(t *testing.T) {
	r := newRecords(7)
	first := r.update(named("blog", "shop"))
	if got := delivered(first); got != "blog shop" {
		t.Errorf("first delivered %q, want both apps", got)
	}
	if got := delivered(r.update(named("blog", "shop"))); got != "" {
		t.Errorf("delivered %q although nothing changed", got)
	}
	changed := named("blog", "shop")
	changed[1].Revision = 2
	second := r.update(changed)
	if got := delivered(second); got != "shop" {
		t.Errorf("delivered %q, want the changed app", got)
	}
	want := record.Record{
		Key: record.Key{Kind: record.KindApp, Name: "shop"}, Owner: "F1", Version: record.Version{Epoch: 7, Seq: 3}, App: changed[1],
	}
	if diff := cmp.Diff(want, second[0]); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if !first[1].Version.Less(second[0].Version) {
		t.Errorf("version %v does not win over %v", second[0].Version, first[1].Version)
	}
}

func TestRemovedAppsLeaveTombstonesUntilTheyAreBack(t *testing.T) {
	r := newRecords(7)
	r.update(named("shop"))
	if rec := r.remove("shop"); !rec.Deleted || rec.Version.Seq != 2 {
		t.Errorf("tombstone %+v, want a deletion with the next version", rec)
	}
	if got := delivered(r.all()); got != "-shop" {
		t.Errorf("a new linker gets %q, want the tombstone", got)
	}
	r.update(named("shop"))
	if got := delivered(r.all()); got != "shop" {
		t.Errorf("a new linker gets %q, want the app that is wanted again", got)
	}
}

func TestSweepRemovesOnlyOwnAppsThatNobodyWants(t *testing.T) {
	r := newRecords(7)
	r.remove("removed")
	owners := map[string]string{"removed": "F1", "wanted": "F1", "foreign": "F2", "left": "F1"}
	wanted := func(name string) bool { return name == "wanted" }
	if got := delivered(r.sweep(owners, wanted)); got != "-left" {
		t.Errorf("swept %q, want only the app that an earlier run left", got)
	}
	if got := delivered(r.sweep(owners, wanted)); got != "" {
		t.Errorf("swept %q a second time", got)
	}
}

func TestStaleRecordsGetALargerEpoch(t *testing.T) {
	r := newRecords(7000)
	refused := r.update(named("shop"))[0]
	r.remove("blog")
	tombstones, raised := r.stale(refused)
	if !raised || r.epoch != 7007 || delivered(tombstones) != "-blog" {
		t.Errorf("raised %v, epoch %d, delivered %q; want epoch 7007 and the tombstone again", raised, r.epoch, delivered(tombstones))
	}
	again := r.update(named("shop"))
	if delivered(again) != "shop" || again[0].Version.Epoch != 7007 {
		t.Errorf("records %+v, want that of shop with the new epoch", again)
	}
	if _, raised := r.stale(refused); raised {
		t.Error("the epoch was raised twice for records of one epoch")
	}
}

func TestANewOwnerWritesAllRecordsAgain(t *testing.T) {
	r := newAppRecords()
	if rec := r.update(named("shop"))[0]; rec.Owner != "framework" {
		t.Errorf("owner %q before there is a framework ID, want \"framework\"", rec.Owner)
	}
	r.setOwner("F2")
	if list := r.update(named("shop")); len(list) != 1 || list[0].Owner != "F2" {
		t.Errorf("records %+v, want one that names the new owner", list)
	}
}

func TestAppRecordSaysWhatLabelsCannot(t *testing.T) {
	d := newDeployment(store.App{Revision: 3, Wanted: app.App{Name: "shop", Services: map[string]app.Service{
		"web": {Name: "web", Replicas: 2, DNSRR: true, Ports: []app.Port{
			{Host: 8080, Target: 80, Proto: "tcp"}, {HostIP: "127.0.0.1", Host: 8081, Target: 80, Proto: "tcp", Mode: app.ModeIngress},
		}}, "agent": {Name: "agent", Global: true},
	}}})
	for id, generation := range map[deploy.SlotID]uint64{
		{Service: "web", Slot: 1}: 4, {Service: "web", Slot: 2}: 0, {Service: "agent", Slot: 1}: 1, {Service: "agent", Slot: 2}: 2,
	} {
		d.slots[id] = store.Slot{Generation: generation}
	}
	tasks := []*task{
		{Task: store.Task{Service: "web", Slot: 1, Generation: 4, Killing: true}},
		{Task: store.Task{Service: "agent", Slot: 2, Generation: 1, Killing: true}}, // not the newest of its slot
	}
	want := &record.App{Name: "shop", Revision: 3, Services: map[string]record.Service{
		"web": {
			Replicas: 2, DNSRR: true, Generations: map[int]uint64{1: 4}, Drained: []int{1},
			Ingress: []record.PublishedPort{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 8081, Port: 80, Proto: "tcp"}},
		},
		"agent": {Replicas: 2, Generations: map[int]uint64{1: 1, 2: 2}},
	}}
	if diff := cmp.Diff(want, appRecord(d, tasks), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("app record (-want +got):\n%s", diff)
	}
}
