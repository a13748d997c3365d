package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shopWithData = shop + "volumes: {data: {}, kept: {external: true}}\n"

// Where the hosts' Engines are is known of the embedded cluster only: of any other,
// down -v is refused while the app still runs.
func TestVolumesOfAClusterAreNotOurs(t *testing.T) {
	for name, h := range map[string]*holder{
		"nobody known":    nil,
		"a framework":     {Kind: kindFramework},
		"no such file":    {Kind: kindCluster, Cluster: "/nowhere/cluster.json"},
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
			wantError(t, err, "nothing was done")
			if len(f.deleted) > 0 {
				t.Errorf("took %v down", f.deleted)
			}
			_, err = tombolo(t, socket, shopWithData, "down")
			wantError(t, err, "")
			out, err := tombolo(t, socket, shop, "down", "-v")
			wantError(t, err, "")
			if out != "shop is not up\n" {
				t.Errorf("without volumes, printed %q", out)
			}
		})
	}
}

func holdLock(t *testing.T, runDir string, h holder) {
	t.Helper()
	lock, err := lockDaemon(runDir, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
}

func TestVolumesAreRemovedFromEveryEngine(t *testing.T) {
	calls := useFakeDocker(t)
	f := &fakeFramework{}
	socket := f.serve(t)
	cluster := filepath.Join(t.TempDir(), "cluster.json")
	writeFile(t, cluster, `{"hosts": [{"name": "h1", "docker": "unix:///1"}, {"name": "h2", "docker": "unix:///2"}]}`)
	holdLock(t, filepath.Dir(socket), holder{Kind: kindCluster, Cluster: cluster})
	want := "-H unix:///1 volume rm -f shop_data\n-H unix:///2 volume rm -f shop_data\n"
	if _, err := tombolo(t, socket, shopWithData, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"up", "down already"} {
		out, err := tombolo(t, socket, shopWithData, "down", "--volumes")
		wantError(t, err, "")
		if !strings.HasSuffix(out, "removed volumes: shop_data\n") {
			t.Errorf("%s: printed %q", state, out)
		}
		if got := calls(); got != want {
			t.Errorf("%s: docker was asked\n%swant\n%s", state, got, want)
		}
	}
	_, err := tombolo(t, socket, "services: [", "-pshop", "down", "-v")
	wantError(t, err, "known from the app's file alone")
}

// useFakeDocker puts fakeDocker before docker in PATH; calls returns what it was
// asked since the last time.
func useFakeDocker(t *testing.T) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(fakeDocker), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() string {
		said, err := os.ReadFile(filepath.Join(dir, "docker.calls"))
		if errors.Is(err, os.ErrNotExist) {
			return ""
		}
		if err := errors.Join(err, os.Remove(filepath.Join(dir, "docker.calls"))); err != nil {
			t.Fatal(err)
		}
		return string(said)
	}
}
