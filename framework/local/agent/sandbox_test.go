package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/internal/state"
)

func TestOutputIsBounded(t *testing.T) {
	dir := t.TempDir()
	box, err := openSandbox(dir)
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	for range 40 {
		if _, err := box.stdout.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stdout", "stdout.1"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() > outputLimit+int64(len(chunk)) {
			t.Errorf("%s is %v (error %v), want at most %d bytes", name, info, err, outputLimit+len(chunk))
		}
	}
}

func TestRewindKeepsTheOldOutputUntilNewOutputComes(t *testing.T) {
	box, err := openSandbox(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	write := func(s string) {
		if _, err := box.stdout.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	box.rewind()
	path := filepath.Join(box.dir, "stdout")
	if got := tail(path, 100); got != "old\n" {
		t.Errorf("after rewind the file has %q, want the old output", got)
	}
	write("a\n")
	write("b\n")
	if got := tail(path, 100); got != "a\nb\n" {
		t.Errorf("after rewind and new output the file has %q, want the new output only", got)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int64]string{100: "one\ntwo\nthree\n", 14: "one\ntwo\nthree\n", 11: "two\nthree\n", 10: "three\n", 7: "three\n"} {
		if got := tail(path, n); got != want {
			t.Errorf("tail(%d) = %q, want %q", n, got, want)
		}
	}
	if got := tail(path+".none", 5); got != "" {
		t.Errorf("the tail of a missing file is %q, want none", got)
	}
}

func TestDockerError(t *testing.T) {
	for in, want := range map[string]string{
		"docker: Error response from daemon: network n not found.\nSee 'docker run --help'.\n":                      "docker: Error response from daemon: network n not found.",
		"unknown flag: --x\n\nUsage:  docker run [OPTIONS] IMAGE\n\nRun 'docker run --help' for more information\n": "unknown flag: --x",
		"": "",
	} {
		if got := dockerError(in); got != want {
			t.Errorf("dockerError(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSweepSandboxes(t *testing.T) {
	work := t.TempDir()
	run := func(task, id string) string {
		return filepath.Join(work, "slaves/a/frameworks/f/executors", task, "runs", id)
	}
	for _, dir := range []string{run("t1", "keep"), run("t1", "drop"), run("t2", "drop")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweepSandboxes(work, func(id string) bool { return id == "keep" }); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(work, "slaves/a/frameworks/f/executors/*/runs/*"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{run("t1", "keep")}, left); diff != "" {
		t.Errorf("folders of runs after the sweep (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Dir(filepath.Dir(run("t2", "x")))); !os.IsNotExist(err) {
		t.Errorf("the folder of a task without runs was left behind (stat: %v)", err)
	}
}

func TestCheckpointKeepsTasks(t *testing.T) {
	c := checkpoint{dir: t.TempDir()}
	saved := savedTask{AgentID: "a", ContainerID: "c1", Killed: true}
	saved.State = 1
	for _, rec := range recordedRuns(t) {
		if !strings.HasPrefix(rec.Task, "limits-inf") {
			continue
		}
		saved.Info = recordedTask(t, rec)
	}
	saved.Framework.ID = &mesos.FrameworkID{Value: "fw"}
	saved.Pending = append(saved.Pending, exitStatus(3, "why"))
	saved.Pending[0].UUID = bytes.Repeat([]byte{7}, 16)
	saved.Pending[0].TaskID = saved.Info.TaskID
	if err := c.save(saved); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("torn"), []byte(`{"agent_id":"a","co`), 0o600); err != nil {
		t.Fatal(err)
	}
	tasks, err := c.load()
	if err == nil || len(tasks) != 1 {
		t.Fatalf("load returned %d tasks and the error %v, want the good task and an error for the torn file", len(tasks), err)
	}
	if !tasks[0].Info.Equal(&saved.Info) || !tasks[0].Pending[0].Equal(&saved.Pending[0]) || tasks[0].State != saved.State || !tasks[0].Killed {
		t.Errorf("the task was loaded as %+v, want it as saved: %+v", tasks[0], saved)
	}
	if tasks, err = c.load(); err != nil || len(tasks) != 1 {
		t.Errorf("a second load returned %d tasks and the error %v, want one task: the torn file was moved aside", len(tasks), err)
	}
	if err := c.forget("c1"); err != nil {
		t.Error(err)
	}
	if tasks, err = c.load(); err != nil || len(tasks) != 0 {
		t.Errorf("after forget there are %d tasks (error %v), want none", len(tasks), err)
	}
}

func FuzzLoadTask(f *testing.F) {
	f.Add([]byte(`{"agent_id":"a","container_id":"c","framework":"CgFhEgFi","task":"AAAA","state":"TASK_RUNNING","pending":["AA=="]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var task savedTask
		if err := state.Load(path, &task); err == nil && (task.ContainerID == "" || task.Framework.ID == nil) {
			t.Errorf("a file without a container or a framework was loaded: %+v", task)
		}
	})
}
