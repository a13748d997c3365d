package local

import (
	"log/slog"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// This file joins the two halves of the package. Master and agents are actors:
// each has one goroutine that owns its state, and they only send each other the
// messages below.
//
//	            Registration, TaskUpdate, Departure
//	   agent ────────────────────────────────────────▶ master
//	         ◀────────────────────────────────────────
//	   Registered, Launch, Kill, Shutdown, Acknowledge
//
// Sending never blocks and never fails; messages of one sender arrive in order.
// Messages are values: neither side changes one after it was sent.

// Config describes a cluster. The zero values of durations mean the defaults.
type Config struct {
	Agents []AgentConfig
	// Dir keeps the master's state: framework and agent identities. It must be
	// private to one running cluster.
	Dir string
	// MasterAddr is the host:port at which others reach Handler; it is what
	// offers and SUBSCRIBED name as the master's address. Empty: 127.0.0.1:5050.
	MasterAddr string
	// heartbeatInterval is the pause between HEARTBEAT events (15 s).
	heartbeatInterval time.Duration
	// AgentTimeout is how long an agent may be disconnected before its tasks are
	// declared lost or unreachable (75 s).
	AgentTimeout time.Duration
	// allocationInterval is how long resources that came back wait for others to
	// go out in one OFFERS event (100 ms; a real master's is 1 s).
	allocationInterval time.Duration
	// offerTimeout is how long a framework may sit on an offer (0: for ever).
	offerTimeout time.Duration
	// maxFailover bounds the failover_timeout that frameworks may ask for
	// (no bound but that of time.Duration).
	maxFailover time.Duration
	// Credentials are principal -> secret for HTTP basic authentication; empty:
	// everybody may come, so let nobody else reach Handler.
	Credentials map[string]string
	Log         *slog.Logger
}

// AgentConfig describes one agent: one host's Docker Engine.
type AgentConfig struct {
	Hostname   string // unique in the cluster, what offers carry
	DockerHost string // unix:///… ; empty: the Engine's default
	WorkDir    string // the agent's own: identity, checkpoints, sandboxes
	IP         string // of the host, for offers' URLs and container statuses
	Port       int    // 5051 when zero; nothing listens on it

	// What is offered. Zero CPUs or MemBytes: what `docker info` says.
	CPUs       float64
	MemBytes   int64
	Attributes map[string]string

	// RemoveDelay is how long the container and the sandbox of a task that ended
	// by itself outlive the acknowledgement of its end; until that they are there.
	// Those of a killed task go before its end is reported.
	RemoveDelay time.Duration
	// Docker overrides the Docker at DockerHost (see localtest).
	Docker Docker
}

// masterMessage is what an agent sends: Registration, TaskUpdate or Departure.
type masterMessage interface{ toMaster() }

// agentMessage is what a master sends: Registered, Launch, Kill, Shutdown or
// Acknowledge.
type agentMessage interface{ toAgent() }

// masterPort is what an agent sees of the master.
type masterPort interface {
	// Send queues m. from is the agent's own port: where the master answers. A
	// message from a port that has not registered last for its agent is dropped.
	Send(from agentPort, m masterMessage)
}

// agentPort is what the master sees of an agent. Implementations are pointers:
// ports are compared.
type agentPort interface {
	Send(m agentMessage)
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
	Tasks []AgentTask
}

// AgentTask is a task as its agent knows it.
type AgentTask struct {
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
