package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"tombolo/cmd/docker/dockertest"
	"tombolo/cmd/errortest"
	"tombolo/cmd/rundir"
)

const shopWithData = shop + "volumes: {data: {}, kept: {external: true}}\n"

// Where the hosts' Engines are is known of the embedded cluster only: of any other,
// down -v is refused while the app still runs.
func TestVolumesOfAClusterAreNotOurs(t *testing.T) {
	for name, h := range map[string]*rundir.Holder{
		"nobody known":    nil,
		"a framework":     {Kind: rundir.Framework},
		"no such file":    {Kind: rundir.Cluster, Cluster: "/nowhere/cluster.json"},
		"an older binary": {},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFramework{}
			socket := f.serve(t)
			if h != nil {
				holdLock(t, filepath.Dir(socket), *h)
			}
			if _, err := tombolo(t, socket, shopWithData, "up", "-d"); err != nil {
				t.Fatal(err)
			}
			_, err := tombolo(t, socket, shopWithData, "down", "-v")
			errortest.Contains(t, err, "nothing was done")
			if len(f.deleted) > 0 {
				t.Errorf("took %v down", f.deleted)
			}
			_, err = tombolo(t, socket, shopWithData, "down")
			errortest.Contains(t, err, "")
			out, err := tombolo(t, socket, shop, "down", "-v")
			errortest.Contains(t, err, "")
			if out != "shop is not up\n" {
				t.Errorf("without volumes, printed %q", out)
			}
		})
	}
}

func holdLock(t *testing.T, runDir string, h rundir.Holder) {
	t.Helper()
	lock, err := rundir.Dir(runDir).Lock(h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
}

func TestVolumesAreRemovedFromEveryEngine(t *testing.T) {
	calls := dockertest.Fake(t)
	f := &fakeFramework{}
	socket := f.serve(t)
	cluster := filepath.Join(t.TempDir(), "cluster.json")
	writeFile(t, cluster, `{"hosts": [{"name": "h1", "docker": "unix:///1"}, {"name": "h2", "docker": "unix:///2"}]}`)
	holdLock(t, filepath.Dir(socket), rundir.Holder{Kind: rundir.Cluster, Cluster: cluster})
	want := "-H unix:///1 volume rm -f shop_data\n-H unix:///2 volume rm -f shop_data\n"
	if _, err := tombolo(t, socket, shopWithData, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"up", "down already"} {
		out, err := tombolo(t, socket, shopWithData, "down", "--volumes")
		errortest.Contains(t, err, "")
		if !strings.HasSuffix(out, "removed volumes: shop_data\n") {
			t.Errorf("%s: printed %q", state, out)
		}
		if got := calls(); got != want {
			t.Errorf("%s: docker was asked\n%swant\n%s", state, got, want)
		}
	}
	_, err := tombolo(t, socket, "services: [", "-pshop", "down", "-v")
	errortest.Contains(t, err, "only its file names its volumes")
}
