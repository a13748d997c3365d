package record

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLabelsOfAnImageAreNobodysIdentity(t *testing.T) {
	for _, tt := range []struct {
		name             string
		container, image map[string]string
		want             map[string]string
	}{
		{"an image that calls itself db", map[string]string{LabelApp: "shop", LabelService: "db", "other": "1"},
			map[string]string{LabelApp: "shop", LabelService: "db", "other": "1"}, map[string]string{"other": "1"}},
		{"a name in the image, the app on the command line", map[string]string{LabelApp: "shop", LabelName: "db"},
			map[string]string{LabelName: "db"}, map[string]string{LabelApp: "shop"}},
		{"a label that the command line changes", map[string]string{LabelApp: "blog"},
			map[string]string{LabelApp: "shop"}, map[string]string{LabelApp: "blog"}},
		{"a task of a framework, whose image has the same labels", map[string]string{LabelApp: "shop", LabelTask: "shop.db.1.g1"},
			map[string]string{LabelApp: "shop"}, map[string]string{LabelApp: "shop", LabelTask: "shop.db.1.g1"}},
		{"an image that claims to be a task", map[string]string{LabelApp: "shop", LabelTask: "shop.db.1.g1"},
			map[string]string{LabelApp: "shop", LabelTask: "shop.db.1.g1"}, map[string]string{}},
		{"a container of docker compose, whose image docker compose has built", map[string]string{composeProject: "shop", composeNumber: "1"},
			map[string]string{composeProject: "shop"}, map[string]string{composeProject: "shop", composeNumber: "1"}},
		{"a plain container of an image that docker compose has built", map[string]string{composeProject: "shop"},
			map[string]string{composeProject: "shop"}, map[string]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, OwnLabels(tt.container, tt.image)); diff != "" {
				t.Errorf("own labels (-want +got):\n%s", diff)
			}
		})
	}
}

// A label that Labels left out would be the image's.
func TestLabelsSetsEveryLabel(t *testing.T) {
	got := Labels(Endpoint{App: "shop", Service: "web"})
	for _, key := range []string{
		LabelApp, LabelService, LabelSlot, LabelGeneration, LabelTask, LabelNetworks, LabelLinks, LabelExport, LabelPorts,
		LabelEndpointMode, LabelIsolation, LabelInternal, LabelName,
	} {
		if _, set := got[key]; !set {
			t.Errorf("%s is not set", key)
		}
	}
	image := map[string]string{LabelName: "db", LabelLinks: "no JSON", LabelInternal: "maybe", LabelIsolation: "?", LabelEndpointMode: "?"}
	merged := map[string]string{}
	for _, labels := range []map[string]string{image, got} {
		for key, value := range labels {
			merged[key] = value
		}
	}
	if e, err := FromLabels(merged); err != nil || e.ContainerName != "" || e.App != "shop" {
		t.Errorf("with the labels of a hostile image, the container is %+v (%v), want web of shop", e, err)
	}
}
