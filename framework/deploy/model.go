package deploy

import (
	"time"

	"tombolo/framework/app"
)

// Phase is where a task stands.
type Phase string

// The phases. A task passes the first three in order; it may be Lost and Running
// by turns; the last four are ends.
//
//	Launched ──▶ Staging ──▶ Running ──▶ Finished | Failed | Killed
//	    │           │          ▲  │
//	    │           └────┐     │  ▼
//	    └──▶ Dropped     └──▶  Lost ──▶ Dropped (the host will not come back)
const (
	Launched Phase = "launched" // stored; the master has not spoken of it
	Staging  Phase = "staging"  // on its way to being a container
	Running  Phase = "running"
	Lost     Phase = "lost" // its host is unreachable: it may run, it may come back

	Finished Phase = "finished" // ended well
	Failed   Phase = "failed"   // ended badly
	Killed   Phase = "killed"   // ended because somebody asked
	Dropped  Phase = "dropped"  // never ran, or went with its host
)

// Live reports whether a task in this phase holds its slot.
func (p Phase) Live() bool { return p == Launched || p == Staging || p == Running }

// Ended reports whether a task in this phase is over for good.
func (p Phase) Ended() bool {
	return p == Finished || p == Failed || p == Killed || p == Dropped
}

// SlotID names a slot of the app.
type SlotID struct {
	Service string
	Slot    int
}

// Task is a task that has not ended.
type Task struct {
	ID string
	SlotID
	Generation     uint64
	Spec           string // digest of the service that it runs
	Host           string
	Phase          Phase
	Up             bool      // runs, is healthy, and can be resolved where it must be
	Killing        bool      // its end is asked for
	UnhealthySince time.Time // since when Docker calls it that; zero: it does not
}

// Slot is a slot's history.
type Slot struct {
	Generation uint64 // of the last task launched; 0: none yet
	Host       string // of that task
	Outcome    Phase  // how the last task that ended did; "": none has
	Spec       string // what that one ran
	Ended      time.Time
	Failures   int // ends in a row that were bad or soon
	Reason     string
}

// State is one app as it is wanted and known.
type State struct {
	Wanted   app.App
	Removing bool
	Tasks    []Task
	Slots    map[SlotID]Slot
	// Present are, for each global service, the hosts that should run it now.
	Present map[string][]string
	// Specs are those of Wanted; nil: Next computes them.
	Specs map[string]string
	// GenerationFloor is the generation after which a slot without history starts, so that
	// no task ID comes twice.
	GenerationFloor uint64
}

// Plan is what comes next.
type Plan struct {
	Launch  []Launch // in the order in which they should find hosts
	Kill    []Kill
	Forget  []SlotID        // no longer wanted, and nothing in them is alive
	Wait    map[SlotID]Wait // wanted slots that nothing is done for now
	Wake    time.Time       // plan again then at the latest; zero: when something changes
	Removed bool            // being removed, and nothing is alive
}

// Launch gives a slot a task.
type Launch struct {
	SlotID
	Generation uint64
	Spec       string
	Host       string // of a global service: there or nowhere
}

// Kill ends a task.
type Kill struct {
	Task      string
	Reason    string
	Unhealthy bool // for its health: its end counts as a failure
}

// Wait says why nothing is done for a slot.
type Wait struct {
	Kind   WaitKind
	Reason string
	Until  time.Time // of a back-off
}

// WaitKind classes a Wait.
type WaitKind int

// The kinds of Wait.
const (
	ForDependency WaitKind = iota
	ForBackoff
	ForStop  // an earlier task of the slot has not ended
	ForHost  // its host is unreachable and it is not to be replaced
	ForTurn  // another instance is being replaced
	GaveUp   // its restart policy gives up
	Complete // it ended well, and that was all
)
