package lab

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A shell stands for nsenter: it does not pass signals on, and its child would outlive it.
func TestExecPassesSignalsOn(t *testing.T) {
	for _, c := range []struct {
		name, child string
		want        int
	}{
		{"to a command that ends by them", "sleep 100", 143},
		{"to a command that handles them", `bash -c 'trap "exit 7" TERM; while :; do sleep 0.01; done'`, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			signals := make(chan os.Signal, 1)
			timer := time.AfterFunc(300*time.Millisecond, func() { signals <- syscall.SIGTERM })
			defer timer.Stop()
			cmd := exec.Command("bash", "-c", c.child+"; exit $?")
			began := time.Now()
			status, err := Exec(cmd, signals)
			if err != nil || status != c.want {
				t.Errorf("Exec returned %d, %v; want %d", status, err, c.want)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("the command ended after %v, not by the signal", took)
			}
		})
	}
}

func TestExecReturnsTheExitStatus(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -9 $$": 137} {
		if status, err := Exec(exec.Command("bash", "-c", script), nil); err != nil || status != want {
			t.Errorf("Exec of %q returned %d, %v; want %d", script, status, err, want)
		}
	}
	if _, err := Exec(exec.Command("/nowhere"), nil); err == nil {
		t.Error("Exec of a program that does not exist returned no error")
	}
}
