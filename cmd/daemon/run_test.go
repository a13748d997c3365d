package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/clusterfile"
	"tombolo/framework/local/agent"
)

func TestEachHostOfAClusterGetsAnAgent(t *testing.T) {
	f := &clusterfile.Cluster{Hosts: []clusterfile.Host{
		{Name: "h1", Docker: "unix:///h1.sock", Underlay: "198.18.0.11", WorkDir: "/h1/agent", CPUs: 2, MemBytes: 4096},
		{Name: "h2", Docker: "unix:///h2.sock"},
	}}
	want := []agent.Config{
		{Hostname: "h1", DockerHost: "unix:///h1.sock", WorkDir: "/h1/agent", IP: "198.18.0.11", CPUs: 2, MemBytes: 4096},
		{Hostname: "h2", DockerHost: "unix:///h2.sock", WorkDir: "/state/agents/h2"},
	}
	if diff := cmp.Diff(want, agents(f, "/state")); diff != "" {
		t.Errorf("agents (-want +got):\n%s", diff)
	}
}

func TestTheStateFolderIsBesideTheClusterFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.json")
	if err := os.WriteFile(file, []byte(`{"hosts": [{"name": "h1", "docker": "unix:///h1.sock"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"this machine", Config{}, DefaultStateDir},
		{"a cluster file", Config{ClusterFile: file}, filepath.Join(filepath.Dir(file), "state")},
		{"a folder of the user's choice", Config{ClusterFile: file, StateDir: "/elsewhere"}, "/elsewhere"},
	} {
		d, err := newDaemon(c.cfg)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if d.StateDir != c.want {
			t.Errorf("%s: the state folder is %s, want %s", c.name, d.StateDir, c.want)
		}
	}
}
