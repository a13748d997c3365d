package cli

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tombolo/cmd/docker/dockertest"
	"tombolo/cmd/errortest"
	"tombolo/cmd/rundir"
)

func TestDownWaitsUntilTheAppIsGone(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	out, err := tombolo(t, socket, shop, "down")
	errortest.Contains(t, err, "")
	if out != "shop is not up\n" || len(f.deleted) > 0 {
		t.Errorf("without an app, down printed %q and deleted %v", out, f.deleted)
	}
	if _, err := tombolo(t, socket, shop, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	out, err = tombolo(t, socket, shop, "down")
	errortest.Contains(t, err, "")
	if !strings.HasSuffix(out, "shop is down\n") || !slices.Equal(f.deleted, []string{"shop"}) {
		t.Errorf("down printed %q and deleted %v, want shop deleted", out, f.deleted)
	}
}

const shopWithData = shop + "volumes: {data: {}, kept: {external: true}}\n"

// Only of an embedded cluster are the hosts' Engines known.
func TestDownDoesNothingIfItCannotReachTheVolumes(t *testing.T) {
	for name, h := range map[string]*rundir.Holder{
		"no daemon":       nil,
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
				t.Errorf("down -v took down %v, although it could not remove the volumes", f.deleted)
			}
			_, err = tombolo(t, socket, shopWithData, "down")
			errortest.Contains(t, err, "")
			out, err := tombolo(t, socket, shop, "down", "-v")
			errortest.Contains(t, err, "")
			if out != "shop is not up\n" {
				t.Errorf("of an app without volumes, down -v printed %q", out)
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

func TestDownRemovesVolumesFromEveryEngine(t *testing.T) {
	calls := dockertest.Fake(t)
	f := &fakeFramework{}
	socket := f.serve(t)
	cluster := filepath.Join(t.TempDir(), "cluster.json")
	writeFile(t, cluster, `{"hosts": [{"name": "h1", "docker": "unix:///1"}, {"name": "h2", "docker": "unix:///2"}]}`)
	holdLock(t, filepath.Dir(socket), rundir.Holder{Kind: rundir.Cluster, Cluster: cluster})
	const list = " volume ls -q --filter label=tombolo.app=shop\n"
	want := "-H unix:///1" + list + "-H unix:///1 volume rm -f shop_data\n-H unix:///2" + list + "-H unix:///2 volume rm -f shop_data\n"
	if _, err := tombolo(t, socket, shopWithData, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"up", "down already"} {
		out, err := tombolo(t, socket, shopWithData, "down", "--volumes")
		errortest.Contains(t, err, "")
		if !strings.HasSuffix(out, "removed volumes: shop_data\n") {
			t.Errorf("down --volumes of an app that is %s printed %q", state, out)
		}
		if got := calls(); got != want {
			t.Errorf("down --volumes of an app that is %s ran docker with\n%swant\n%s", state, got, want)
		}
	}
	_, err := tombolo(t, socket, "services: [", "-pshop", "down", "-v")
	errortest.Contains(t, err, "only its file names its volumes")
}

// On a cluster that is this machine, `up` tags the images that it has built. Nothing needs them
// when the app is down, and only those of the app's file while it is up.
func TestTagsOfBuiltImagesGoWithTheirApp(t *testing.T) {
	calls := dockertest.Fake(t)
	const old, other = "tombolo.internal/shop/web:111111111111", "tombolo.internal/other/web:111111111111"
	dockertest.Images(t, old, "tombolo.internal/shop/web:feedfacefeed", other)
	f := &fakeFramework{}
	socket := f.serve(t)
	holdLock(t, filepath.Dir(socket), rundir.Holder{Kind: rundir.Machine})
	file := "name: shop\nservices:\n  web: {image: web, build: .}\n"
	if _, err := tombolo(t, socket, file, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	if got := calls(); !strings.Contains(got, "image rm "+old+"\n") || strings.Count(got, "image rm") != 1 {
		t.Errorf("up ran docker with\n%swant it to remove %s, and nothing else", got, old)
	}
	if _, err := tombolo(t, socket, file, "down"); err != nil {
		t.Fatal(err)
	}
	if got := calls(); strings.Count(got, "image rm tombolo.internal/shop/") != 2 || strings.Contains(got, other) {
		t.Errorf("down ran docker with\n%swant it to remove both tags of the app, and nothing else", got)
	}
}
