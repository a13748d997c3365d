package volumes

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tombolo/cmd/docker/dockertest"
	"tombolo/cmd/errortest"
	"tombolo/cmd/rundir"
	"tombolo/framework/app"
)

var shop = app.App{Name: "shop", Volumes: map[string]app.Volume{
	"data": {Name: "shop_data"}, "kept": {Name: "kept", External: true},
}}

func TestPlanKnowsTheEnginesOfAnEmbeddedClusterOnly(t *testing.T) {
	calls := dockertest.Fake(t)
	file := filepath.Join(t.TempDir(), "cluster.json")
	if err := os.WriteFile(file, []byte(`{"hosts": [{"name": "h1", "docker": "unix:///1"}, {"name": "h2", "docker": "unix:///2"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		holder rundir.Holder
		calls  string
		err    string
	}{
		{"this machine", rundir.Holder{Kind: rundir.Machine}, "volume ls -q --filter label=tombolo.app=shop\nvolume rm -f shop_data\n", ""},
		{"a cluster file", rundir.Holder{Kind: rundir.Cluster, Cluster: file}, "-H unix:///1 volume ls -q --filter label=tombolo.app=shop\n-H unix:///1 volume rm -f shop_data\n" +
			"-H unix:///2 volume ls -q --filter label=tombolo.app=shop\n-H unix:///2 volume rm -f shop_data\n", ""},
		{"a cluster file that is gone", rundir.Holder{Kind: rundir.Cluster, Cluster: "/nowhere"}, "", "nothing was done"},
		{"a real cluster", rundir.Holder{Kind: rundir.Framework}, "", "docker volume rm shop_data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := rundir.Dir(t.TempDir())
			lock, err := run.Lock(c.holder)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			removal, err := Plan(shop, "unix://"+run.API())
			errortest.Contains(t, err, c.err)
			if err != nil {
				return
			}
			var out bytes.Buffer
			errortest.Contains(t, removal.Run(t.Context(), &out), "")
			if out.String() != "removed volumes: shop_data\n" {
				t.Errorf("Run printed %q", out.String())
			}
			if got := calls(); got != c.calls {
				t.Errorf("Run called docker with\n%swant\n%s", got, c.calls)
			}
		})
	}
}

func TestAnAppWithoutVolumesNeedsNoEngine(t *testing.T) {
	removal, err := Plan(app.App{Name: "shop"}, "/nowhere/api.sock")
	errortest.Contains(t, err, "")
	errortest.Contains(t, removal.Run(t.Context(), &bytes.Buffer{}), "")
}
