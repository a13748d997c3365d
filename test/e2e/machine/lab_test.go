package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/lab"
)

// moments are points during `lab up`. Each begins when a file exists.
var moments = []struct{ name, file string }{
	{"the state exists", lab.RunDir + "/lab.json"},
	{"the registry answers", lab.RunDir + "/registry.addr"},
	{"a host starts", lab.RunDir + "/h1/dockerd.log"},
	{"the linkers start", lab.RunDir + "/h2/linker.log"},
	{"the control daemon starts", lab.RunDir + "/control.log"},
}

// interrupt sends a signal to a `lab up` of two hosts as soon as file exists, and returns its exit
// code.
func interrupt(t *testing.T, m *machine, file string, sig syscall.Signal) int {
	t.Helper()
	cmd := m.inside(t.Context(), binary, "lab", "up", "--hosts", "2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := os.Stat(m.path(file))
		return err
	})
	signal(t, cmd, sig)
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

func TestLabUpInterruptedLeavesNothing(t *testing.T) {
	m := start(t)
	m.fails(t, 1, "no lab is up", "lab", "ps")
	m.must(t, "lab", "down") // this creates the lock file
	before := m.traces(t)
	for _, moment := range moments {
		switch code := interrupt(t, m, moment.file, syscall.SIGINT); code {
		case 130:
		case 0: // it ended before the signal
			m.must(t, "lab", "down")
		default:
			t.Errorf("lab up was interrupted when %s and ended with exit code %d, want 130", moment.name, code)
		}
		if diff := cmp.Diff(before, m.traces(t)); diff != "" {
			t.Errorf("lab up was interrupted when %s and left something (-before +after):\n%s", moment.name, diff)
		}
	}
}

// killMidway kills a `lab up` as soon as file exists. If that was ready before the signal, it takes
// the lab down and tries again.
func killMidway(t *testing.T, m *machine, file string) {
	t.Helper()
	for range 20 {
		interrupt(t, m, file, syscall.SIGKILL)
		b, err := os.ReadFile(m.path(lab.RunDir + "/lab.json"))
		if err != nil {
			t.Fatal(err)
		}
		var state lab.Lab
		if err := json.Unmarshal(b, &state); err != nil {
			t.Fatal(err)
		}
		if !state.Ready {
			return
		}
		m.must(t, "lab", "down")
	}
	t.Fatalf("all 20 times, lab up ended before it could be killed; it was to be killed when %s existed", file)
}

func TestLabUpKilledIsCleanedByTheNext(t *testing.T) {
	m := start(t)
	m.must(t, "lab", "down")
	before := m.traces(t)
	for _, moment := range moments {
		killMidway(t, m, moment.file)
		m.must(t, "lab", "up", "--hosts", "1")
		out := m.must(t, "lab", "ps")
		if strings.Count(out, "\n") != 2 || !strings.Contains(out, "h1    up") {
			t.Errorf("lab up was killed when %s; after the next lab up, lab ps does not show just h1: %s", moment.name, out)
		}
		m.must(t, "lab", "down")
		if diff := cmp.Diff(before, m.traces(t)); diff != "" {
			t.Errorf("lab up was killed when %s; the next lab up and lab down left something (-before +after):\n%s", moment.name, diff)
		}
	}
}

func TestLabDownCleansAKilledUp(t *testing.T) {
	m := start(t)
	m.must(t, "lab", "down")
	before := m.traces(t)
	interrupt(t, m, lab.RunDir+"/h2/dockerd.log", syscall.SIGKILL)
	m.must(t, "lab", "down")
	m.sh(t, "mkdir -p "+lab.RunDir+" && : >"+lab.Netns) // as if killed before the file had a namespace
	for range 2 {
		m.must(t, "lab", "down")
		if diff := cmp.Diff(before, m.traces(t)); diff != "" {
			t.Errorf("lab down left something (-before +after):\n%s", diff)
		}
	}
}

func TestOneLabAtATime(t *testing.T) {
	m := start(t)
	results := make(chan ended, 2)
	for range 2 {
		go func() {
			r, err := m.Run(t.Context(), "lab", "up", "--hosts", "1")
			results <- ended{r.Code, r.Stderr, err}
		}()
	}
	one, two := <-results, <-results
	if one.code == 0 {
		one, two = two, one
	}
	if one.err != nil || two.err != nil || one.code != 1 || two.code != 0 {
		t.Errorf("two lab ups at once: %+v and %+v, want that one succeeds and the other ends with exit code 1", one, two)
	}
	if !strings.Contains(one.stderr, "another lab command is at work") && !strings.Contains(one.stderr, "is up already") {
		t.Errorf("the failed lab up does not say that there is another: %q", one.stderr)
	}
	m.fails(t, 1, "a lab of 1 is up already", "lab", "up", "--hosts", "1")
	m.fails(t, 1, "this daemon is the lab's", "daemon", "stop")
	for _, verb := range []string{"kill", "start", "partition", "heal"} {
		m.fails(t, 1, `no host "h7" in this lab (its hosts: h1)`, "lab", verb, "h7")
		m.fails(t, 2, verb+" takes one host", "lab", verb)
	}
	m.fails(t, 1, `no host "h7"`, "lab", "exec", "h7", "true")
	m.fails(t, 1, "host h1 is running", "lab", "start", "h1")
	if out := m.must(t, "lab", "exec", "h1", "--", "hostname"); out != "h1\n" {
		t.Errorf("lab exec h1 -- hostname printed %q, want h1", out)
	}
	m.must(t, "lab", "kill", "h1")
	m.must(t, "lab", "kill", "h1")
	m.fails(t, 1, "host h1 is dead", "lab", "exec", "h1", "true")
	m.fails(t, 1, "host h1 is dead", "lab", "partition", "h1")
	m.must(t, "lab", "start", "h1")
	m.must(t, "lab", "down")
	for _, verb := range []string{"kill", "start", "partition", "heal"} {
		m.fails(t, 1, "no lab is up", "lab", verb, "h1")
	}
}

// ended is the result of a command.
type ended struct {
	code   int
	stderr string
	err    error
}

// state reads the lab's state file.
func state(t *testing.T, m *machine) lab.Lab {
	t.Helper()
	text, err := os.ReadFile(m.path(lab.RunDir + "/lab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var l lab.Lab
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKilledLabServicesAreStartedAgain(t *testing.T) {
	m := start(t)
	m.must(t, "lab", "up", "--hosts", "1")
	for _, again := range [][]string{{"lab", "up", "--hosts", "1"}, {"-f", writeApp(t, shop), "up"}} {
		l := state(t, m)
		for _, pid := range []int{l.Registry.PID, l.Control.PID} { // wait until it is gone or a zombie
			m.sh(t, fmt.Sprintf("kill -9 %d; while grep -qs '^State:.[^ZX]' /proc/%[1]d/status; do sleep 0.05; done", pid))
		}
		m.fails(t, 1, "no framework answers", "ps", "-a")
		r, err := m.Run(t.Context(), "lab", "ps")
		if err != nil || !strings.Contains(r.Stderr, "has ended: registry, control daemon") {
			t.Errorf("lab ps does not say that the registry and the control daemon have ended: %v, %q", err, r.Stderr)
		}
		// The app cannot run, because its image does not exist, but a framework has to answer.
		if r, err := m.Run(t.Context(), again...); err != nil || r.Code != 0 && again[0] == "lab" {
			t.Errorf("tombolo %v: %v, %+v", again, err, r)
		}
		m.must(t, "ps", "-a")
		if after := state(t, m); after.Registry == l.Registry || after.Control == l.Control || after.RegistryPush != l.RegistryPush {
			t.Errorf("the registry and the control daemon need new processes, and the registry its old address.\nbefore: %+v\nafter:  %+v", l, after)
		}
	}
	m.must(t, "lab", "down")
}
