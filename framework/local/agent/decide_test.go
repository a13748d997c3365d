package agent

import (
	"errors"
	"testing"
)

func TestDecide(t *testing.T) {
	var (
		absent  = Container{}
		created = Container{Name: "c", Status: "created"}
		live    = Container{Name: "c", Status: "running"}
		paused  = Container{Name: "c", Status: "paused"}
		ended   = Container{Name: "c", Status: "exited", ExitCode: 1}

		fresh   = progress{}
		started = progress{starting: true}
		running = progress{starting: true, running: true}
		killed  = progress{starting: true, killed: true}
	)
	failed := errors.New("the Engine is gone")
	for _, c := range []struct {
		name  string
		c     Container
		seen  progress
		under kind
		last  activity
		want  decision
	}{
		{"a new task", absent, fresh, nothing, activity{}, decision{do: doPull}},
		{"pulling", absent, fresh, pull, activity{}, decision{do: doWait}},
		{"pulled", absent, fresh, nothing, activity{kind: pull}, decision{do: doRun}},
		{"no such image", absent, fresh, nothing, activity{kind: pull, exit: 1}, decision{do: doEnd}},
		{"the Engine went while pulling", absent, fresh, nothing, activity{kind: pull, err: failed}, decision{do: doPull}},
		{"docker run at work", absent, started, run, activity{}, decision{do: doWait}},
		{"created, docker run at work", created, started, run, activity{}, decision{do: doWait}},
		{"docker run refused", absent, started, nothing, activity{kind: run, exit: 125}, decision{do: doEnd}},
		{"docker run could not start it", created, started, nothing, activity{kind: run, exit: 127}, decision{do: doEnd}},
		{"agent died after create", created, started, nothing, activity{}, decision{do: doPull}},
		{"agent died before docker run", absent, started, nothing, activity{}, decision{do: doPull}},
		{"killed before docker run", absent, killed, nothing, activity{}, decision{do: doEnd, neverStarted: true}},
		{"killed while pulling", absent, killed, nothing, activity{kind: pull, err: failed}, decision{do: doEnd, neverStarted: true}},
		{"killed after the pull", absent, killed, nothing, activity{kind: pull}, decision{do: doEnd, neverStarted: true}},
		{"killed while docker run works", created, killed, run, activity{}, decision{do: doWait}},
		{"it runs", live, started, run, activity{}, decision{do: doReportRunning}},
		{"it runs on", live, running, run, activity{}, decision{do: doWait}},
		{"it is paused", paused, running, run, activity{}, decision{do: doWait}},
		{"docker run died, not the container", live, running, nothing, activity{kind: run, exit: 125}, decision{do: doFollow}},
		{"a new agent finds it", live, running, nothing, activity{}, decision{do: doFollow}},
		{"it was too quick to be seen", ended, started, nothing, activity{kind: run, exit: 1}, decision{do: doReportRunning}},
		{"it ended, docker run not yet", ended, running, run, activity{}, decision{do: doReadRest}},
		{"it ended, and docker run", ended, running, nothing, activity{kind: run, exit: 1}, decision{do: doEnd}},
		{"it ended while no agent was here", ended, running, nothing, activity{}, decision{do: doReadRest}},
		{"and its output is read", ended, running, nothing, activity{kind: follow}, decision{do: doEnd}},
		{"removed, docker run saw it", absent, running, nothing, activity{kind: run, exit: 137}, decision{do: doEnd}},
		{"removed while followed", absent, running, nothing, activity{kind: follow, exit: 1}, decision{do: doEnd, vanished: true}},
		{"removed while no agent was here", absent, running, nothing, activity{}, decision{do: doEnd, vanished: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := decide(c.c, c.seen, c.under, c.last); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
