package cluster_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"tombolo/framework/local/agent"
	"tombolo/framework/local/agent/agenttest"
	"tombolo/framework/local/cluster"
	"tombolo/framework/local/master"
)

// A file that was torn by a power failure does not keep the cluster from starting.
func TestTornFilesAreMovedAside(t *testing.T) {
	for _, content := range []string{"", `{"agent_id": "S1`, `{"frameworks": [{"user": 1}], "agent_id": 1}`} {
		dir := t.TempDir()
		files := []string{filepath.Join(dir, "master", "master.json"), filepath.Join(dir, "h1", "agent.json")}
		for _, file := range files {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := cluster.New(cluster.Config{
			Master: master.Config{Dir: filepath.Join(dir, "master")}, Log: slog.New(slog.DiscardHandler),
			Agents: []agent.Config{{Hostname: "h1", WorkDir: filepath.Join(dir, "h1"), Docker: &agenttest.Docker{}}},
		})
		if err != nil {
			t.Errorf("New failed with files that hold %q: %v", content, err)
		}
		for _, file := range files {
			if got, err := os.ReadFile(file + ".broken"); err != nil || string(got) != content {
				t.Errorf("the file with %q was not moved aside to %s.broken: %v", content, file, err)
			}
		}
	}
}
