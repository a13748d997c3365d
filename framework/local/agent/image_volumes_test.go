package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
)

func TestVolumesOfAnImageGetNamesWhereNothingElseIsMounted(t *testing.T) {
	wanted := local.SlotVolumes{Prefix: "shop_db-1.g3_", Labels: map[string]string{"tombolo.app": "shop"}, Mounted: []string{"/data/", "tmp"}}
	got := mountsOf(wanted, []string{"/data", "/tmp/", "/var/lib/db", "/var/lib/db/", "/odd,path"})
	want := []mesos.Parameter{
		{Key: "mount", Value: "type=volume,source=" + wanted.Name("/var/lib/db") + ",target=/var/lib/db,volume-label=tombolo.app=shop"},
		{Key: "mount", Value: "type=volume,source=" + wanted.Name("/odd,path") + `,"target=/odd,path",volume-label=tombolo.app=shop`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	if a, b := wanted.Name("/a"), wanted.Name("/b"); a == b || !strings.HasPrefix(a, wanted.Prefix) {
		t.Errorf("the volumes at /a and /b are %s and %s, want different ones that begin with the prefix", a, b)
	}
}

func TestATaskThatAsksForNoNamesGetsNone(t *testing.T) {
	for value, bad := range map[string]bool{`{"prefix":"p"}`: false, `{}`: true, `x`: true} {
		v, err := slotVolumes(mesos.TaskInfo{Labels: &mesos.Labels{Labels: []mesos.Label{{Key: local.VolumesLabel, Value: &value}}}})
		if (err != nil) != bad || !bad && v.Prefix != "p" {
			t.Errorf("of %s slotVolumes returned %v, %v", value, v, err)
		}
	}
	if v, err := slotVolumes(mesos.TaskInfo{}); v != nil || err != nil {
		t.Errorf("of a task without the label slotVolumes returned %v, %v", v, err)
	}
}
