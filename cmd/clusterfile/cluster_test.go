package clusterfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
)

func TestReadReturnsHostsAndRegistry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.json")
	text := `{"hosts": [
		{"name": "h1", "docker": "unix:///h1.sock", "linker": "/h1/linker.sock", "underlay": "198.18.0.11", "work_dir": "/h1/agent", "cpus": 2, "mem_bytes": 4096},
		{"name": "h2", "docker": "unix:///h2.sock"}],
		"registry": {"push": "127.0.0.1:5000", "pull": "198.18.0.1:5000"}, "partition_timeout": "10s"}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.Timeout(); d != 10*time.Second || err != nil {
		t.Errorf("the partition timeout is %v (%v), want 10s", d, err)
	}
	if diff := cmp.Diff(&api.Registry{Push: "127.0.0.1:5000", Pull: "198.18.0.1:5000"}, c.Registry); diff != "" {
		t.Errorf("registry (-want +got):\n%s", diff)
	}
	want := []Host{
		{Name: "h1", Docker: "unix:///h1.sock", Linker: "/h1/linker.sock", Underlay: "198.18.0.11", WorkDir: "/h1/agent", CPUs: 2, MemBytes: 4096},
		{Name: "h2", Docker: "unix:///h2.sock"},
	}
	if diff := cmp.Diff(want, c.Hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestReadReportsEveryProblem(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{`{`, []string{"unexpected EOF"}},
		{`{"hosts": []}`, []string{"hosts: the list is empty"}},
		{`{"host": []}`, []string{`unknown field "host"`}},
		{`{"hosts": [{"name": "a b", "docker": "x"}, {"name": "h"}, {"name": "h", "docker": "x"}], "partition_timeout": "soon"}`,
			[]string{"host 1: name", `host "h": docker is missing`, `host "h": the name appears twice`, `partition_timeout: "soon"`}},
	} {
		_, err := parse([]byte(c.text))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s ends with error %v, want one that contains %q", c.text, err, want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"hosts": [{"name": "h1", "docker": "unix:///x"}], "partition_timeout": "1s"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(again); err != nil {
			t.Errorf("%s was accepted, but its copy %s was not: %v", data, again, err)
		}
	})
}
