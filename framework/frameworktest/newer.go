package frameworktest

import (
	"fmt"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/wire"
)

// unknownReason is no reason that this program knows.
const unknownReason = mesos.TaskStatus_Reason(9999)

// SayNewer makes the master send an event of a kind that the framework does not know, and the
// agent of a task an update with a state and a reason that it does not know. The task runs on.
func (c *Cluster) SayNewer(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.master.send(scheduler.Event{Type: wire.Unknown})
	for _, h := range c.hosts {
		if t := h.tasks[id]; t != nil && !terminal(t.state) {
			t.report(wire.Unknown, "the kernel sings", unknownReason)
		}
	}
}

// EndTaskFor makes a task fail for a reason.
func (c *Cluster) EndTaskFor(id string, reason mesos.TaskStatus_Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		if t := h.tasks[id]; t != nil && !terminal(t.state) {
			t.running, t.state = false, mesos.TASK_FAILED
			t.report(mesos.TASK_FAILED, "it ended", reason)
			c.gossip()
		}
	}
}

// Unacknowledged returns the tasks with updates that the framework has not acknowledged.
func (c *Cluster) Unacknowledged() (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		for id, t := range h.tasks {
			if len(t.pending) > 0 {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// report makes the agent send an update, with or without a reason, until it is acknowledged.
func (t *task) report(state mesos.TaskState, message string, reason ...mesos.TaskStatus_Reason) {
	status := mesos.TaskStatus{
		TaskID: t.info.TaskID, State: &state, AgentID: &mesos.AgentID{Value: t.host.agent},
		UUID:            fmt.Appendf(nil, "%016d", t.c.next()),
		ContainerStatus: &mesos.ContainerStatus{ContainerID: &mesos.ContainerID{Value: t.container}},
	}
	if message != "" {
		status.Message = &message
	}
	if len(reason) > 0 {
		status.Reason = &reason[0]
	}
	t.pending = append(t.pending, status)
	if len(t.pending) == 1 {
		t.push()
	}
}
