package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestAProcessIsIdentifiedByItsStartTime(t *testing.T) {
	p := sleeper(t)
	if !p.Alive() {
		t.Error("a process that runs is not alive")
	}
	if other := (Process{PID: p.PID, Start: "1"}); other.Alive() || other.kill() != nil || !p.Alive() {
		t.Error("a process with the same number and another start time was taken for it")
	}
	if (Process{}).Alive() || (Process{PID: p.PID}).Alive() {
		t.Error("a Process without a number or a start time is alive")
	}
	if err := p.kill(); err != nil || p.Alive() {
		t.Errorf("kill returned %v, and afterwards the process is alive: %v", err, p.Alive())
	}
	if err := p.kill(); err != nil {
		t.Errorf("to kill a process a second time is an error: %v", err)
	}
}

func TestStopKillsAProcessThatIgnoresSIGTERM(t *testing.T) {
	for name, script := range map[string]string{"obeys SIGTERM": "sleep 1000 & wait", "ignores SIGTERM": "trap '' TERM; echo; sleep 1000"} {
		cmd := exec.Command("sh", "-c", script)
		cmd.Stdout = nil
		if name == "ignores SIGTERM" {
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Read(make([]byte, 1)); err != nil { // the trap is set
				t.Fatal(err)
			}
		} else if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p := newProcess(cmd.Process.Pid)
		go cmd.Wait()
		if err := p.stop(200 * time.Millisecond); err != nil || p.Alive() {
			t.Errorf("stop of a process that %s returned %v, and afterwards it is alive: %v", name, err, p.Alive())
		}
	}
}

// A process name may contain characters that separate the fields of /proc/PID/stat.
func TestStartTimeOfAProcessWithAnOddName(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "a) Z (b")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(sleep, odd); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(odd, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if p := newProcess(cmd.Process.Pid); !p.Alive() {
		t.Errorf("the process is not alive by its start time %q", p.Start)
	}
	_ = cmd.Process.Kill()
	for deadline := time.Now().Add(10 * time.Second); startTime(cmd.Process.Pid) != ""; {
		if time.Now().After(deadline) {
			t.Fatal("a zombie counts as alive")
		}
	}
	_ = cmd.Wait()
}

func TestRemoveDirEmptiesMountPoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	for range 2 { // the second time the folder does not exist
		if err := removeDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "h1", "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "none", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(dir, "h1", "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := removeDir(dir)
	left, _ := os.ReadDir(dir)
	if out, uerr := exec.Command("umount", dir).CombinedOutput(); uerr != nil {
		t.Fatalf("%v: %s", uerr, out)
	}
	if err != nil || len(left) > 0 {
		t.Errorf("removing a mount point returned %v and left %v, want it empty", err, left)
	}
	if err := removeDir(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}
