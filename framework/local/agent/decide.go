package agent

// progress is how far a task has come, as its scheduler knows.
type progress struct {
	starting, running bool // reported
	killed            bool // asked for
}

// decision is the one next thing that a runner does.
type decision struct {
	do    action
	never bool // doEnd: killed before there was a container
	gone  bool // doEnd: the container vanished, and nobody saw how
}

type action int

const (
	doWait    action = iota
	doLaunch         // get the image
	doRun            // docker run
	doRunning        // report TASK_RUNNING
	doFollow         // keep the output coming
	doDrain          // get the rest of the output
	doEnd            // report a terminal state
)

// decide is a runner's whole judgement. A container's own state goes before the
// exit status of a docker command: docker run ends when its Engine does, while
// the container may run on.
//
//	absent ──launch──▶ pull ──run──▶ created ──▶ live ──▶ ended ──drain──▶ end
//	   ▲                  │ failed: end   │ docker run ended: end
//	   └── its agent or its Engine died meanwhile ──┘
func decide(c Container, seen progress, under kind, last activity) decision {
	switch {
	case (c.live() || c.ended()) && !seen.running:
		return decision{do: doRunning}
	case c.live() && under == nothing:
		return decision{do: doFollow}
	case c.live():
		return decision{do: doWait}
	case c.ended() && (under != nothing || last.kind != run && last.kind != follow):
		return decision{do: doDrain}
	case c.ended():
		return decision{do: doEnd}
	}
	return decideAbsent(seen, under, last)
}

// decideAbsent is decide for a container that is not there or was only created.
func decideAbsent(seen progress, under kind, last activity) decision {
	switch {
	case under == pull || under == run:
		return decision{do: doWait}
	case last.kind == run && last.err == nil, last.kind == follow && seen.running:
		return decision{do: doEnd, gone: last.kind == follow}
	case seen.killed:
		return decision{do: doEnd, never: true}
	case seen.running:
		return decision{do: doEnd, gone: true}
	case last.kind == pull && last.err == nil && last.exit == 0:
		return decision{do: doRun}
	case last.kind == pull && last.err == nil:
		return decision{do: doEnd}
	}
	return decision{do: doLaunch}
}
