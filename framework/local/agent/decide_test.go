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
		name     string
		c        Container
		reported progress
		current  kind
		last     activity
		want     decision
	}{
		{"a new task pulls its image", absent, fresh, nothing, activity{}, decision{do: doPull}},
		{"a pull is under way", absent, fresh, pull, activity{}, decision{do: doWait}},
		{"the image is there", absent, fresh, nothing, activity{kind: pull}, decision{do: doRun}},
		{"the image does not exist", absent, fresh, nothing, activity{kind: pull, exit: 1}, decision{do: doEnd}},
		{"the Engine went down during the pull", absent, fresh, nothing, activity{kind: pull, err: failed}, decision{do: doPull}},
		{"docker run is under way", absent, started, run, activity{}, decision{do: doWait}},
		{"the container is created, docker run is under way", created, started, run, activity{}, decision{do: doWait}},
		{"docker run failed", absent, started, nothing, activity{kind: run, exit: 125}, decision{do: doEnd}},
		{"docker run created the container but could not start it", created, started, nothing, activity{kind: run, exit: 127}, decision{do: doEnd}},
		{"the last agent died after docker run created the container", created, started, nothing, activity{}, decision{do: doPull}},
		{"the last agent died before docker run", absent, started, nothing, activity{}, decision{do: doPull}},
		{"killed before docker run", absent, killed, nothing, activity{}, decision{do: doEnd, neverStarted: true}},
		{"killed during the pull", absent, killed, nothing, activity{kind: pull, err: failed}, decision{do: doEnd, neverStarted: true}},
		{"killed after the pull", absent, killed, nothing, activity{kind: pull}, decision{do: doEnd, neverStarted: true}},
		{"killed while docker run is under way", created, killed, run, activity{}, decision{do: doWait}},
		{"the container runs", live, started, run, activity{}, decision{do: doReportRunning}},
		{"the container runs and that was reported", live, running, run, activity{}, decision{do: doWait}},
		{"the container is paused", paused, running, run, activity{}, decision{do: doWait}},
		{"docker run died, but not the container", live, running, nothing, activity{kind: run, exit: 125}, decision{do: doFollow}},
		{"a new agent finds the running container", live, running, nothing, activity{}, decision{do: doFollow}},
		{"the container ended before anybody saw it run", ended, started, nothing, activity{kind: run, exit: 1}, decision{do: doReportRunning}},
		{"the container ended, docker run has not", ended, running, run, activity{}, decision{do: doReadRest}},
		{"the container and docker run ended", ended, running, nothing, activity{kind: run, exit: 1}, decision{do: doEnd}},
		{"the container ended while no agent ran", ended, running, nothing, activity{}, decision{do: doReadRest}},
		{"the output of an ended container is read", ended, running, nothing, activity{kind: follow}, decision{do: doEnd}},
		{"docker run saw the container being removed", absent, running, nothing, activity{kind: run, exit: 137}, decision{do: doEnd}},
		{"the container was removed while its output was followed", absent, running, nothing, activity{kind: follow, exit: 1}, decision{do: doEnd, vanished: true}},
		{"the container was removed while no agent ran", absent, running, nothing, activity{}, decision{do: doEnd, vanished: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := decide(c.c, c.reported, c.current, c.last); got != c.want {
				t.Errorf("decide returned %+v, want %+v", got, c.want)
			}
		})
	}
}
