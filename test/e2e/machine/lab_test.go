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

// moments are points in the life of a `lab up`, by what it has made by then.
var moments = []struct{ name, file string }{
	{"state is there", lab.RunDir + "/lab.json"},
	{"registry answers", lab.RunDir + "/registry.addr"},
	{"a host starts", lab.RunDir + "/h1/dockerd.log"},
	{"linkers start", lab.RunDir + "/h2/linker.log"},
	{"control starts", lab.RunDir + "/control.log"},
}

// interrupt sends a signal to a `lab up` of two hosts once file is there, and
// returns its exit code.
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
	m.must(t, "lab", "down") // makes the lock file
	before := m.traces(t)
	for _, moment := range moments {
		switch code := interrupt(t, m, moment.file, syscall.SIGINT); code {
		case 130:
		case 0: // it was faster
			m.must(t, "lab", "down")
		default:
			t.Errorf("interrupted when %s: exit code %d", moment.name, code)
		}
		if diff := cmp.Diff(before, m.traces(t)); diff != "" {
			t.Errorf("interrupted when %s (-before +after):\n%s", moment.name, diff)
		}
	}
}

// killMidway kills a `lab up` once file is there. One that was ready before the
// signal came is a whole lab: it is taken down, and the next try may be in time.
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
	t.Fatalf("no lab up of 20 could be killed between %s and its end", file)
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
			t.Errorf("killed when %s, then up: %s", moment.name, out)
		}
		m.must(t, "lab", "down")
		if diff := cmp.Diff(before, m.traces(t)); diff != "" {
			t.Errorf("killed when %s, then up and down (-before +after):\n%s", moment.name, diff)
		}
	}
}

func TestLabDownCleansAKilledUp(t *testing.T) {
	m := start(t)
	m.must(t, "lab", "down")
	before := m.traces(t)
	interrupt(t, m, lab.RunDir+"/h2/dockerd.log", syscall.SIGKILL)
	m.must(t, "lab", "down")
	m.sh(t, "mkdir -p "+lab.RunDir+" && : >"+lab.Netns) // killed before there was a namespace behind it
	for range 2 {
		m.must(t, "lab", "down")
		if diff := cmp.Diff(before, m.traces(t)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
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
		t.Errorf("two at once: %+v and %+v", one, two)
	}
	if !strings.Contains(one.stderr, "another lab command is at work") && !strings.Contains(one.stderr, "is up already") {
		t.Errorf("the second said %q", one.stderr)
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
		t.Errorf("lab exec h1 -- hostname: %q", out)
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

// ended is how a command ended.
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

func TestLabServicesThatAreKilled(t *testing.T) {
	m := start(t)
	m.must(t, "lab", "up", "--hosts", "1")
	for _, again := range [][]string{{"lab", "up", "--hosts", "1"}, {"-f", writeApp(t, shop), "up"}} {
		l := state(t, m)
		for _, pid := range []int{l.Registry.PID, l.Control.PID} { // gone, or a zombie
			m.sh(t, fmt.Sprintf("kill -9 %d; while grep -qs '^State:.[^ZX]' /proc/%[1]d/status; do sleep 0.05; done", pid))
		}
		m.fails(t, 1, "no framework answers", "ps", "-a")
		r, err := m.Run(t.Context(), "lab", "ps")
		if err != nil || !strings.Contains(r.Stderr, "has ended: registry, control daemon") {
			t.Errorf("lab ps: %v, %q", err, r.Stderr)
		}
		// The app's image is nowhere: what counts is who answers.
		if r, err := m.Run(t.Context(), again...); err != nil || r.Code != 0 && again[0] == "lab" {
			t.Errorf("tombolo %v: %v, %+v", again, err, r)
		}
		m.must(t, "ps", "-a")
		if after := state(t, m); after.Registry == l.Registry || after.Control == l.Control || after.RegistryPush != l.RegistryPush {
			t.Errorf("before %+v\nafter %+v", l, after)
		}
	}
	m.must(t, "lab", "down")
}
