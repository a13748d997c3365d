package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestAProcessIsKnownByItsStart(t *testing.T) {
	p := sleeper(t)
	if !p.Alive() {
		t.Error("is not alive")
	}
	if other := (Process{PID: p.PID, Start: "1"}); other.Alive() || other.kill() != nil || !p.Alive() {
		t.Error("a later process with the same number is taken for it")
	}
	if (Process{}).Alive() || (Process{PID: p.PID}).Alive() {
		t.Error("no process is alive")
	}
	if err := p.kill(); err != nil || p.Alive() {
		t.Errorf("killed: %v, alive %v", err, p.Alive())
	}
	if err := p.kill(); err != nil {
		t.Errorf("killed again: %v", err)
	}
}

func TestStopKillsWhoDoesNotListen(t *testing.T) {
	for name, script := range map[string]string{"listens": "sleep 1000 & wait", "does not": "trap '' TERM; echo; sleep 1000"} {
		cmd := exec.Command("sh", "-c", script)
		cmd.Stdout = nil
		if name == "does not" {
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
			t.Errorf("%s: %v, alive %v", name, err, p.Alive())
		}
	}
}

// A name may hold whatever confuses a parser of /proc/PID/stat.
func TestStartTimeOfAnOddName(t *testing.T) {
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
		t.Errorf("start time %q", p.Start)
	}
	_ = cmd.Process.Kill()
	for deadline := time.Now().Add(10 * time.Second); startTime(cmd.Process.Pid) != ""; {
		if time.Now().After(deadline) {
			t.Fatal("a zombie is alive")
		}
	}
	_ = cmd.Wait()
}

func TestRemoveDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	for range 2 { // the second time there is none
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
		t.Errorf("a mount point: %v, left %v", err, left)
	}
	if err := removeDir(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("is still there: %v", err)
	}
}
