package daemon

import (
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
