package deploy

import (
	"time"

	"tombolo/framework/app"
)

// Phase is the phase of a task. The framework stores its text.
type Phase string

// The phases of a task:
//
//	Launched ──▶ Staging ──▶ Running ──▶ Finished | Failed | Killed
//	    │           │          ▲  │
//	    │           └────┐     │  ▼
//	    └──▶ Dropped     └──▶  Lost ──▶ Dropped
const (
	Launched Phase = "launched" // stored; no update from the master yet
	Staging  Phase = "staging"  // the agent prepares the container
	Running  Phase = "running"
	Lost     Phase = "lost" // its host is unreachable: it may still run, and may come back

	Finished Phase = "finished" // ended with success
	Failed   Phase = "failed"   // ended without success
	Killed   Phase = "killed"   // ended because the framework or an operator killed it
	Dropped  Phase = "dropped"  // never ran, or is gone with its host
)

// Live reports whether a task in this phase fills its slot.
func (p Phase) Live() bool { return p == Launched || p == Staging || p == Running }

// Ended reports whether this phase is the last one of a task.
func (p Phase) Ended() bool {
	return p == Finished || p == Failed || p == Killed || p == Dropped
}

// SlotID identifies a slot of an app.
type SlotID struct {
	Service string
	Slot    int // 1, 2, ...
}

// Task is a task that has not ended.
type Task struct {
	ID string
	SlotID
	Generation     uint64
	Spec           string // digest of the service that it runs, see Specs
	Host           string
	Phase          Phase
	Up             bool      // it runs, is healthy, and the linkers that need to know it do
	Killing        bool      // the framework has killed it already
	UnhealthySince time.Time // when Docker first called it unhealthy; zero: Docker does not

	KilledUnhealthy bool // the framework has killed it because it was unhealthy
}

// Slot is the history of a slot.
type Slot struct {
	Generation uint64    // of the last task that was launched; 0: none was
	Host       string    // of that task
	Outcome    Phase     // of the last task that ended; "": none has
	Spec       string    // of that task
	Ended      time.Time // when that task ended
	Reason     string    // why that task ended
	Unhealthy  bool      // it ended because it was unhealthy, and none has been up in the slot since
	Failures   int       // number of tasks in a row that failed or ended soon
}

// State is all that Next knows about an app.
type State struct {
	Wanted   app.App
	Removing bool
	Tasks    []Task
	Slots    map[SlotID]Slot
	Present  map[string][]string // for each global service, the hosts that should run it now
	// Known reports whether a host may come back: slots of global services keep their history
	// while their host may. nil: no host does.
	Known func(host string) bool
	Specs map[string]string // the Specs of Wanted; nil: Next computes them
	// GenerationFloor is the highest generation of slots that were forgotten. A slot
	// without a history starts after it, so that no two tasks get the same ID.
	GenerationFloor uint64
}

// Plan is what happens next to an app.
type Plan struct {
	Launch  []Launch // in the order in which the tasks should get hosts
	Kill    []Kill
	Forget  []SlotID        // slots that are not wanted, and have no task
	Wanted  map[SlotID]bool // the slots that the app should have now
	Wait    map[SlotID]Wait // why nothing happens to a wanted slot now
	Wake    time.Time       // call Next again at this time, even if nothing changes; zero: only if something changes
	Removed bool            // the app is being removed, and has no live task any more
}

// Launch gives a slot a task.
type Launch struct {
	SlotID
	Generation uint64
	Spec       string
	Host       string // the only host that may run it, of a global service; "": any host
}

// Kill ends a task.
type Kill struct {
	Task      string // its ID
	Reason    string
	Unhealthy bool // the task is killed for its health, which counts as a failure
}

// Wait says what a slot waits for.
type Wait struct {
	Kind   WaitKind
	Reason string
	Until  time.Time // end of a back-off; zero for other kinds
}

// WaitKind classes a Wait.
type WaitKind int

// The kinds of a Wait.
const (
	ForDependency WaitKind = iota
	ForBackoff
	ForStop  // an earlier task of the slot still ends
	ForHost  // its host is unreachable, and the service is never replaced
	ForTurn  // another instance of the service is replaced first
	GaveUp   // the restart policy permits no other task
	Complete // the task ended with success, and the restart policy wants no other
)
