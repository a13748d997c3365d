package agent

// progress is how far a task has come.
type progress struct {
	starting, running bool // TASK_STARTING, TASK_RUNNING was reported
	killed            bool // a kill was requested
}

// decision is the next thing that a runner does.
type decision struct {
	do           action
	neverStarted bool // with doEnd: the task was killed before it had a container
	vanished     bool // with doEnd: the container is gone, and nobody saw its exit status
}

type action int

const (
	doWait          action = iota
	doPull                 // get the image
	doRun                  // docker run
	doReportRunning        // report TASK_RUNNING
	doFollow               // copy the output of a container without a docker run
	doReadRest             // wait for the rest of the output
	doEnd                  // report a terminal state
)

// decide decides what a runner does next, from the state of its container, the reported
// progress, the activity that is under way and the one that ended last. The container's
// own state counts more than the exit status of a docker command: docker run ends when
// its Engine does, while the container may run on.
//
//	absent ──pull──▶ image ──run──▶ created ──▶ live ──▶ ended ──read rest──▶ end
//	   ▲               │ failed: end   │ docker run ended: end
//	   └── the agent or its Engine died meanwhile ──┘
func decide(c Container, reported progress, current kind, last activity) decision {
	switch {
	case (c.live() || c.ended()) && !reported.running:
		return decision{do: doReportRunning}
	case c.live() && current == nothing:
		return decision{do: doFollow}
	case c.live():
		return decision{do: doWait}
	case c.ended() && (current != nothing || last.kind != run && last.kind != follow):
		return decision{do: doReadRest}
	case c.ended():
		return decision{do: doEnd}
	}
	return decideAbsent(reported, current, last)
}

// decideAbsent is decide for a container that does not exist or was only created.
func decideAbsent(reported progress, current kind, last activity) decision {
	switch {
	case current == pull || current == run:
		return decision{do: doWait}
	case last.kind == run && last.err == nil, last.kind == follow && reported.running:
		return decision{do: doEnd, vanished: last.kind == follow}
	case reported.killed:
		return decision{do: doEnd, neverStarted: true}
	case reported.running:
		return decision{do: doEnd, vanished: true}
	case last.kind == pull && last.err == nil && last.exit == 0:
		return decision{do: doRun}
	case last.kind == pull && last.err == nil:
		return decision{do: doEnd}
	}
	return decision{do: doPull}
}
