package local

import (
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// ShutdownGrace is how long an executor gets to end its task when a scheduler shuts
// it down or its framework is gone (recorded: docker stop -t 3).
const ShutdownGrace = 3 * time.Second

// ToMaster is what an agent sends: Registration, TaskUpdate or Departure.
type ToMaster interface{ toMaster() }

// ToAgent is what a master sends: Registered, Launch, Kill, Shutdown or
// Acknowledge.
type ToAgent interface{ toAgent() }

// Master is what an agent sees of the master.
type Master interface {
	// Send queues m. from is the agent's own port: where the master answers. A
	// message from a port that has not registered last for its agent is dropped.
	Send(from Agent, m ToMaster)
}

// Agent is what the master sees of an agent. Implementations are pointers:
// ports are compared.
type Agent interface {
	Send(m ToAgent)
}

// Registration announces an agent, for the first time or again. The master
// answers with Registered; until then the agent is sent nothing.
type Registration struct {
	// Info holds hostname, port, attributes, the total resources (unreserved, no
	// allocation_info), and the ID that the agent has kept from an earlier
	// Registered, nil before the first.
	Info mesos.AgentInfo
	// Tasks are all that the agent knows: those that run and those that ended
	// with an update not yet acknowledged.
	Tasks []Task
}

// Task is a task as its agent knows it.
type Task struct {
	Framework mesos.FrameworkInfo // as in Launch, with its ID
	Task      mesos.TaskInfo      // as in Launch
	State     mesos.TaskState     // the newest
	// Latest is the newest update without its Data, acknowledged or not; its task id
	// is empty before the first. It is what a restarted master answers RECONCILE with.
	Latest mesos.TaskStatus
	// Pending are the updates not acknowledged, oldest first. The master takes
	// over their delivery; the agent need not send them as TaskUpdate again.
	Pending []mesos.TaskStatus
}

// TaskUpdate reports a change of a task. The agent sends it once and keeps it
// (checkpointed) until an Acknowledge with its UUID comes or the task's framework
// is shut down; the master does the retries and the ordering.
type TaskUpdate struct {
	FrameworkID mesos.FrameworkID
	// Status is complete: task id, state, source, reason, message, agent id,
	// executor id (docker executors: the task id), container status, data,
	// timestamp and a UUID of 16 random bytes.
	Status mesos.TaskStatus
}

// Departure ends the agent's connection: its Engine or its host is out of reach,
// or the agent stops. Offers are rescinded at once. An agent that returns sends a
// Registration.
type Departure struct {
	// Final means that the agent is stopping for good with its tasks ended: they
	// are lost at once instead of after AgentTimeout.
	Final bool
}

// Registered tells the agent who it is. It stores the ID before it acts on any
// later message. A changed ID (the master had marked the old one as gone) means
// that all tasks known so far must be killed and forgotten.
type Registered struct {
	AgentID mesos.AgentID
	// Unknown lists tasks of the Registration whose framework is gone: kill them,
	// no update is awaited.
	Unknown []TaskRef
}

// TaskRef names one task of one framework.
type TaskRef struct {
	FrameworkID mesos.FrameworkID
	TaskID      mesos.TaskID
}

// Launch starts a task. The master has checked it: it names a Docker container,
// its id is not in use on this agent, and its resources fit. Whatever goes wrong
// from here is a TaskUpdate.
type Launch struct {
	Framework mesos.FrameworkInfo // with its ID
	Task      mesos.TaskInfo      // resources with allocation_info
}

// Kill ends one task; Policy, if any, overrides the task's own. The agent answers
// with updates (TASK_KILLING where the framework has that capability, and a
// terminal one). For a task it does not know it sends nothing: the master answers
// by itself.
type Kill struct {
	TaskRef
	Policy *mesos.KillPolicy
}

// Shutdown ends all tasks of a framework that is gone; no update is awaited.
type Shutdown struct {
	FrameworkID mesos.FrameworkID
}

// Acknowledge says that the scheduler has the update with this UUID: the agent
// forgets it, and the task with it when it was the terminal one.
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

// HasCapability reports whether a framework declared the capability c.
func HasCapability(f mesos.FrameworkInfo, c mesos.FrameworkInfo_Capability_Type) bool {
	return slices.ContainsFunc(f.Capabilities, func(have mesos.FrameworkInfo_Capability) bool { return have.Type == c })
}
