package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
	"tombolo/framework/local/agent"
)

func TestReadCluster(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.json")
	text := `{"hosts": [
		{"name": "h1", "docker": "unix:///h1.sock", "linker": "/h1/linker.sock", "underlay": "198.18.0.11", "work_dir": "/h1/agent", "cpus": 2, "mem_bytes": 4096},
		{"name": "h2", "docker": "unix:///h2.sock"}],
		"registry": {"push": "127.0.0.1:5000", "pull": "198.18.0.1:5000"}, "partition_timeout": "10s"}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readCluster(path)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.partitionTimeout(); d != 10*time.Second || err != nil {
		t.Errorf("partition timeout %v, %v", d, err)
	}
	if diff := cmp.Diff(&api.Registry{Push: "127.0.0.1:5000", Pull: "198.18.0.1:5000"}, c.Registry); diff != "" {
		t.Errorf("registry (-want +got):\n%s", diff)
	}
	want := []agent.Config{
		{Hostname: "h1", DockerHost: "unix:///h1.sock", WorkDir: "/h1/agent", IP: "198.18.0.11", CPUs: 2, MemBytes: 4096},
		{Hostname: "h2", DockerHost: "unix:///h2.sock", WorkDir: "/state/agents/h2"},
	}
	if diff := cmp.Diff(want, c.agents("/state")); diff != "" {
		t.Errorf("agents (-want +got):\n%s", diff)
	}
}

func TestClusterFilesThatAreWrong(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{`{`, []string{"unexpected EOF"}},
		{`{"hosts": []}`, []string{"no hosts"}},
		{`{"host": []}`, []string{`unknown field "host"`}},
		{`{"hosts": [{"name": "a b", "docker": "x"}, {"name": "h"}, {"name": "h", "docker": "x"}], "partition_timeout": "soon"}`,
			[]string{"host 1: name", `host "h" has no docker`, `host "h" is there twice`, `partition_timeout "soon"`}},
	} {
		_, err := parseCluster([]byte(c.text))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", c.text, err, want)
			}
		}
	}
}

func FuzzParseCluster(f *testing.F) {
	f.Add([]byte(`{"hosts": [{"name": "h1", "docker": "unix:///x"}], "partition_timeout": "1s"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCluster(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseCluster(again); err != nil {
			t.Errorf("%s was taken, %s is not: %v", data, again, err)
		}
	})
}
