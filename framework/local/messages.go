package local

import (
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// ShutdownGrace is how long an executor gets to end its task when a scheduler shuts
// it down or its framework is gone (recorded: docker stop -t 3).
const ShutdownGrace = 3 * time.Second

// HealthcheckLabel is the label of a TaskInfo that holds the words of its health check, as a JSON
// list. The agent makes the container run them without a shell. Agents of Mesos ignore it.
const HealthcheckLabel = "tombolo.healthcheck"

// ToMaster is a message from an agent: Registration, TaskUpdate or Departure.
type ToMaster interface{ toMaster() }

// ToAgent is a message from the master: Registered, Launch, Kill, Shutdown or
// Acknowledge.
type ToAgent interface{ toAgent() }

// Master is a master as its agents see it.
type Master interface {
	// Send queues m. The master answers to from, the sender. Except for a
	// Registration, it drops a message whose sender is not registered.
	Send(from Agent, m ToMaster)
}

// Agent is an agent as its master sees it. Implementations are pointers, because the
// master compares them.
type Agent interface {
	Send(m ToAgent)
}

// Registration announces an agent, for the first time or again. The master answers
// with Registered and sends the agent nothing before that.
type Registration struct {
	// Info holds the hostname, port, attributes and total resources (unreserved,
	// without allocation_info), and the agent ID of the latest Registered, which is
	// nil before the first one.
	Info mesos.AgentInfo
	// Tasks are all tasks that the agent knows: those that run, and those that have
	// ended but whose updates are not all acknowledged.
	Tasks []Task
}

// Task is a task as its agent knows it.
type Task struct {
	Framework mesos.FrameworkInfo // as in Launch, with its ID
	Info      mesos.TaskInfo      // as in Launch
	State     mesos.TaskState     // the newest
	// Latest is the newest update without its Data, acknowledged or not. Its task ID
	// is empty before the first update. A restarted master answers RECONCILE with it.
	Latest mesos.TaskStatus
	// Pending are the updates that are not acknowledged, oldest first. The master
	// takes over their delivery; the agent does not send them as TaskUpdate again.
	Pending []mesos.TaskStatus
}

// Ref names the task.
func (t Task) Ref() TaskRef { return TaskRef{FrameworkID: *t.Framework.ID, TaskID: t.Info.TaskID} }

// TaskUpdate reports a change of a task. The agent sends it once, and keeps it on
// disk until an Acknowledge with its UUID comes or the task's framework is shut down.
// The master orders and repeats updates.
type TaskUpdate struct {
	FrameworkID mesos.FrameworkID
	// Status is complete: task ID, state, source, reason, message, agent ID,
	// executor ID (of a Docker executor: the task ID), container status, data,
	// timestamp, and a UUID of 16 random bytes.
	Status mesos.TaskStatus
}

// Departure ends the agent's connection, because the agent stops or cannot reach its
// Engine. The master rescinds the agent's offers at once. An agent that comes back
// sends a Registration.
type Departure struct {
	// Final means that the agent has ended its tasks and does not come back: the
	// master declares them lost at once instead of after its agent timeout.
	Final bool
}

// Registered tells the agent its ID. The agent stores the ID before it handles any
// later message. If the ID differs from the one that the agent sent, the master has
// given up the old one, and the agent kills and forgets all its tasks.
type Registered struct {
	AgentID mesos.AgentID
	// Unknown lists tasks that the agent kills without sending updates, for example
	// because their framework is gone.
	Unknown []TaskRef
}

// TaskRef names one task of one framework.
type TaskRef struct {
	FrameworkID mesos.FrameworkID
	TaskID      mesos.TaskID
}

// Launch starts a task. The master has checked that it names a Docker container, that
// its ID is not in use on this agent, and that its resources fit. The agent reports
// everything that goes wrong later as a TaskUpdate.
type Launch struct {
	Framework mesos.FrameworkInfo // with its ID
	Task      mesos.TaskInfo      // resources with allocation_info
}

// Kill ends one task. The agent answers with TaskUpdates: TASK_KILLING if the
// framework has that capability, then a terminal state. It ignores a Kill for a task
// that it does not know.
type Kill struct {
	TaskRef
	Policy *mesos.KillPolicy // nil: the task's own
}

// Shutdown ends all tasks of a framework that is gone. The agent sends no updates.
type Shutdown struct {
	FrameworkID mesos.FrameworkID
}

// Acknowledge says that the scheduler has the update with this UUID. The agent forgets
// the update, and with a terminal update the task.
type Acknowledge struct {
	TaskRef
	UUID []byte
}

func (Registration) toMaster() {}
func (TaskUpdate) toMaster()   {}
func (Departure) toMaster()    {}

func (Registered) toAgent()  {}
func (Launch) toAgent()      {}
func (Kill) toAgent()        {}
func (Shutdown) toAgent()    {}
func (Acknowledge) toAgent() {}

// IsTerminal reports whether no other state follows s.
func IsTerminal(s mesos.TaskState) bool {
	switch s {
	case mesos.TASK_FINISHED, mesos.TASK_FAILED, mesos.TASK_KILLED, mesos.TASK_ERROR, mesos.TASK_LOST,
		mesos.TASK_DROPPED, mesos.TASK_GONE, mesos.TASK_GONE_BY_OPERATOR:
		return true
	}
	return false
}

// HasCapability reports whether a framework has the capability c.
func HasCapability(f mesos.FrameworkInfo, c mesos.FrameworkInfo_Capability_Type) bool {
	return slices.ContainsFunc(f.Capabilities, func(have mesos.FrameworkInfo_Capability) bool { return have.Type == c })
}
