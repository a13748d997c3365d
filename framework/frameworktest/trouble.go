package frameworktest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	mesosclient "tombolo/framework/mesos"
	"tombolo/linker/record"
)

// partition is the time after which the master gives up an agent that is away.
const partition = 10 * time.Second

// agentReturns is the time after which an agent that has missed a message registers again.
const agentReturns = 5 * time.Second

// forgiven is the time after the return of a lost task in which the framework may still replace
// it, because it has not heard of the return.
const forgiven = time.Minute

// KillHost ends a host and everything that runs on it.
func (c *Cluster) KillHost(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	h.alive, h.reachable = false, false
	for _, t := range h.tasks {
		t.running = false
	}
	h.leave()
}

// Partition cuts a host off from the network. Its tasks continue to run.
func (c *Cluster) Partition(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts[name].reachable = false
	c.hosts[name].leave()
}

// leave makes the rest of the cluster notice that the host is gone.
func (h *host) leave() {
	c := h.c
	if h.away != nil {
		return
	}
	h.joined = false
	c.master.rescindOffers(h)
	c.gossip()
	h.away = c.after(partition, func() {
		h.lost = true
		c.master.send(scheduler.Event{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{AgentID: &mesos.AgentID{Value: h.agent}}})
		for _, id := range slices.Sorted(maps.Keys(h.tasks)) {
			if t := h.tasks[id]; !terminal(t.state) {
				t.lost = true
				c.master.tell(id, h.agent, mesos.TASK_UNREACHABLE, mesos.REASON_AGENT_REMOVED)
			}
		}
	})
}

// Return brings back a host that was killed or partitioned. Its agent reports containers
// that were killed with it as failed.
func (c *Cluster) Return(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	dead := !h.alive
	h.alive, h.reachable, h.joined, h.linker = true, true, !c.master.down, true
	lost := h.lost
	h.lost = false
	if h.away != nil {
		h.away.Stop()
		h.away = nil
	}
	for _, id := range slices.Sorted(maps.Keys(h.tasks)) {
		t := h.tasks[id]
		if t.lost {
			c.after(forgiven, func() { t.lost = t.lost && h.lost })
		}
		switch {
		case dead && !terminal(t.state):
			t.setState(mesos.TASK_FAILED, "Container terminated")
		case lost && !terminal(t.state):
			c.master.tell(id, h.agent, t.state, mesos.REASON_AGENT_REREGISTERED)
		}
		t.missing()
		t.push()
	}
	c.gossip()
	c.master.offer()
}

// ReturnAnew brings back a host that has lost all data: it has no tasks and a new agent.
func (c *Cluster) ReturnAnew(name string) {
	c.mu.Lock()
	h := c.hosts[name]
	clear(h.tasks)
	h.agent = fmt.Sprintf("S%d", c.next()+len(c.hosts))
	c.mu.Unlock()
	c.Return(name)
}

// StopLinker ends the linker of a host.
func (c *Cluster) StopLinker(name string) { c.setLinker(name, false) }

// StartLinker starts the linker of a host again.
func (c *Cluster) StartLinker(name string) { c.setLinker(name, true) }

func (c *Cluster) setLinker(name string, up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts[name].linker = up
	c.gossip()
}

// Trouble makes the linker of a host tell why it is not ready; nothing: it is ready.
func (c *Cluster) Trouble(name string, troubles ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts[name].troubles = troubles
	c.gossip()
}

// RestartMaster ends the master and starts another one after a time. That one knows no
// agents and tasks until the agents are back, which they are one after the other.
func (c *Cluster) RestartMaster(down time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.master.down = true
	c.master.voidOffers()
	for _, h := range c.hosts {
		h.joined = false
	}
	if c.master.session != nil {
		c.master.session.end(errMasterLost)
		c.master.session = nil
	}
	c.after(down, func() { c.master.down = false })
	for i, h := range c.sorted() {
		c.after(down+time.Duration(i+1)*2*time.Second, h.rejoin)
	}
}

// Calm ends everything that happens by chance: from now on messages arrive at once, and once, and
// containers that run stay healthy and do not fail.
func (c *Cluster) Calm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.options
	o.Loss, o.Repeat, o.Late, o.Slow, o.Gaps, o.Rescind = 0, 0, 0, 0, 0, 0
	c.master.failing, c.master.refusing, c.calm = time.Time{}, false, true
	for _, h := range c.hosts {
		for _, t := range h.tasks {
			if t.health == record.HealthUnhealthy {
				t.health = record.HealthHealthy
			}
		}
	}
	c.gossip()
}

// DropSession ends the framework's subscription, as when a connection breaks. The master goes on.
func (c *Cluster) DropSession() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.master.session != nil {
		c.master.session.end(errStreamLost)
		c.master.session = nil
		c.master.voidOffers()
	}
}

var errStreamLost = errors.New("the connection to the master is gone")

func (h *host) rejoin() {
	if !h.reachable || !h.alive || h.c.master.down {
		return
	}
	h.joined = true
	h.pushAll()
	h.c.master.offer()
}

// RemoveFramework makes the master remove the framework, as when its failover timeout has
// passed: its ID is void and its tasks end.
func (c *Cluster) RemoveFramework() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.master.removed[c.master.framework] = true
	for _, h := range c.hosts {
		clear(h.tasks)
	}
	if c.master.session != nil {
		c.master.session.end(mesosclient.ErrRemoved)
		c.master.session = nil
	}
	c.master.voidOffers()
	c.gossip()
}

// Say makes a task's container write a line of output.
func (c *Cluster) Say(id, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		if t := h.tasks[id]; t != nil {
			t.say(text)
			c.gossip()
		}
	}
}

// EndTask makes a task's container exit by itself with status 1.
func (c *Cluster) EndTask(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		if t := h.tasks[id]; t != nil {
			t.end(mesos.TASK_FAILED, "Container exited with status 1")
		}
	}
}
