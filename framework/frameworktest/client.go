package frameworktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	mesosclient "tombolo/framework/mesos"
	"tombolo/internal/wake"
)

// Client is one framework's connection to the cluster's master, like framework/mesos.Client.
type Client struct {
	c            *Cluster
	Disconnected func(error) // called when a subscription is lost; may be nil; set before Run
	id           string      // of the framework; guarded by Cluster.mu
}

// Client returns a connection for one run of a framework.
func (c *Cluster) Client() *Client { return &Client{c: c} }

// session is a subscription.
type session struct {
	client *Client
	events *wake.Queue[sessionEvent]
}

// sessionEvent is an event, or the error that ends the subscription.
type sessionEvent struct {
	event scheduler.Event
	end   error
}

func (s *session) end(err error) { s.events.Put(sessionEvent{end: err}) }

var errMasterLost = errors.New("the master is gone")

// SetFrameworkID implements framework.Master.
func (cl *Client) SetFrameworkID(id string) {
	cl.c.mu.Lock()
	defer cl.c.mu.Unlock()
	cl.id = id
}

// Run implements framework.Master.
func (cl *Client) Run(ctx context.Context, handle func(scheduler.Event)) error {
	for ctx.Err() == nil {
		s, err := cl.subscribe()
		if err == nil {
			err = s.deliver(ctx, handle)
			cl.c.leave(s)
			if cl.Disconnected != nil && ctx.Err() == nil {
				cl.Disconnected(err)
			}
		}
		if errors.Is(err, mesosclient.ErrRemoved) || errors.Is(err, mesosclient.ErrFailedOver) {
			return err
		}
		wake.Sleep(ctx, 500*time.Millisecond)
	}
	return nil
}

func (s *session) deliver(ctx context.Context, handle func(scheduler.Event)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.events.Ready():
		}
		for _, e := range s.events.Take() {
			if e.end != nil {
				return e.end
			}
			handle(e.event)
		}
	}
}

func (cl *Client) subscribe() (*session, error) {
	c := cl.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.masterDown {
		return nil, errMasterLost
	}
	if c.removed[cl.id] {
		return nil, mesosclient.ErrRemoved
	}
	if cl.id == "" {
		c.frameworks++
		cl.id = fmt.Sprintf("F%d", c.frameworks)
	}
	if c.session != nil {
		c.session.end(mesosclient.ErrFailedOver)
	}
	s := &session{client: cl, events: wake.NewQueue[sessionEvent]()}
	c.session, c.framework = s, cl.id
	clear(c.offers)
	c.send(scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{
		FrameworkID: &mesos.FrameworkID{Value: cl.id},
	}})
	c.revive()
	for _, h := range c.hosts {
		c.pushAll(h)
	}
	return s, nil
}

func (c *Cluster) leave(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == s {
		c.session = nil
		clear(c.offers)
	}
}

// Call implements framework.Master.
func (cl *Client) Call(ctx context.Context, call *scheduler.Call) error {
	c := cl.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil || c.session.client != cl || c.masterDown || ctx.Err() != nil {
		return mesosclient.ErrDisconnected
	}
	lost := c.random.Float64() < c.options.Loss
	if lost && c.random.IntN(2) == 0 {
		return errors.New("the call was lost")
	}
	c.take(call)
	if lost {
		return errors.New("the call's answer was lost")
	}
	return nil
}

func (c *Cluster) take(call *scheduler.Call) {
	switch call.Type {
	case scheduler.Call_ACCEPT:
		c.accept(call.Accept)
	case scheduler.Call_DECLINE:
		c.refuse(call.Decline.OfferIDs, call.Decline.Filters)
	case scheduler.Call_REVIVE:
		c.revive()
	case scheduler.Call_SUPPRESS:
		c.suppressed = true
	case scheduler.Call_KILL:
		c.kill(call.Kill.TaskID.Value, call.Kill.AgentID.GetValue())
	case scheduler.Call_ACKNOWLEDGE:
		c.acknowledged(call.Acknowledge)
	case scheduler.Call_RECONCILE:
		c.reconcile(call.Reconcile.Tasks)
	}
}

func (c *Cluster) revive() {
	c.suppressed = false
	for _, h := range c.hosts {
		h.filtered = time.Time{}
	}
	c.offer()
}

func (c *Cluster) refuse(ids []mesos.OfferID, filters *mesos.Filters) {
	d := 5 * time.Second
	if filters != nil && filters.RefuseSeconds != nil {
		d = time.Duration(*filters.RefuseSeconds * float64(time.Second))
	}
	for _, id := range ids {
		if o := c.offers[id.Value]; o != nil {
			o.host.filtered = time.Now().Add(d)
			delete(c.offers, id.Value)
		}
	}
	c.after(d, c.offer)
}

func (c *Cluster) accept(a *scheduler.Call_Accept) {
	var h *host
	valid := true
	for _, id := range a.OfferIDs {
		o := c.offers[id.Value]
		if o == nil {
			valid = false
			continue
		}
		h = o.host
	}
	for _, op := range a.Operations {
		for _, info := range op.Launch.TaskInfos {
			c.launch(info, h, valid)
		}
	}
	c.refuse(a.OfferIDs, a.Filters)
}

func (c *Cluster) launch(info mesos.TaskInfo, h *host, valid bool) {
	id := info.TaskID.Value
	c.check(info)
	if !valid || !h.joined {
		c.tell(id, info.AgentID.Value, mesos.TASK_DROPPED, mesos.REASON_INVALID_OFFERS)
		return
	}
	if slices.Contains(c.launches, id) {
		c.violate("task ID %s is used again", id)
	}
	c.launches = append(c.launches, id)
	cpus, memory := h.free()
	if used, bytes := needs(info); used > cpus+1e-9 || bytes > memory+1e-9 {
		c.violate("%s does not fit on %s", id, h.name)
	}
	t := &task{info: info, host: h, state: mesos.TASK_STAGING, behaviour: c.options.Behave(info)}
	t.container = fmt.Sprintf("c%d", c.next())
	h.tasks[id] = t
	c.run(t)
}

// reconcile answers as a master does: not for tasks whose agent has not come back yet.
func (c *Cluster) reconcile(asked []scheduler.Call_Reconcile_Task) {
	if len(asked) == 0 {
		for _, h := range c.sorted() {
			for id, t := range h.tasks {
				if h.joined {
					c.tell(id, h.agent, t.state, mesos.REASON_RECONCILIATION)
				}
			}
		}
		return
	}
	for _, a := range asked {
		id := a.TaskID.Value
		h := c.byAgent(a.AgentID.GetValue())
		switch {
		case h == nil:
			c.tell(id, "", mesos.TASK_UNKNOWN, mesos.REASON_RECONCILIATION)
		case h.lost:
			c.tell(id, h.agent, mesos.TASK_UNREACHABLE, mesos.REASON_RECONCILIATION)
		case !h.joined:
		case h.tasks[id] == nil:
			c.tell(id, h.agent, mesos.TASK_UNKNOWN, mesos.REASON_RECONCILIATION)
		default:
			c.tell(id, h.agent, h.tasks[id].state, mesos.REASON_RECONCILIATION)
		}
	}
}

func (c *Cluster) byAgent(agent string) *host {
	for _, h := range c.hosts {
		if h.agent == agent {
			return h
		}
	}
	return nil
}

// tell sends an update of the master itself, which needs no acknowledgement.
func (c *Cluster) tell(id, agent string, state mesos.TaskState, reason mesos.TaskStatus_Reason) {
	status := mesos.TaskStatus{TaskID: mesos.TaskID{Value: id}, State: &state, Reason: &reason}
	if agent != "" {
		status.AgentID = &mesos.AgentID{Value: agent}
	}
	c.send(scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: status}})
}
