package frameworktest

import (
	"context"
	"errors"
	"fmt"
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

type session struct {
	number uint64 // of the subscription, of all that the cluster has had
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
func (cl *Client) Run(ctx context.Context, handle func(uint64, scheduler.Event)) error {
	for ctx.Err() == nil {
		s, err := cl.subscribe()
		if err == nil {
			err = s.deliver(ctx, handle)
			cl.c.master.leave(s)
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

func (s *session) deliver(ctx context.Context, handle func(uint64, scheduler.Event)) error {
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
			handle(s.number, e.event)
		}
	}
}

func (cl *Client) subscribe() (*session, error) {
	c := cl.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.master.down {
		return nil, errMasterLost
	}
	if c.master.removed[cl.id] {
		return nil, mesosclient.ErrRemoved
	}
	if cl.id == "" {
		c.master.frameworks++
		cl.id = fmt.Sprintf("F%d", c.master.frameworks)
	}
	if c.master.session != nil {
		c.master.session.end(mesosclient.ErrFailedOver)
	}
	c.master.subscriptions++
	s := &session{number: c.master.subscriptions, client: cl, events: wake.NewQueue[sessionEvent]()}
	c.master.session, c.master.framework = s, cl.id
	c.master.voidOffers()
	c.master.send(scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{
		FrameworkID: &mesos.FrameworkID{Value: cl.id},
	}})
	c.master.revive()
	for _, h := range c.sorted() {
		h.pushAll()
	}
	return s, nil
}

// nameOf names a call by what it is about.
func nameOf(call *scheduler.Call) string {
	name := call.Type.String()
	switch call.Type {
	case scheduler.Call_KILL:
		return name + " " + call.Kill.TaskID.Value
	case scheduler.Call_ACKNOWLEDGE:
		return name + " " + call.Acknowledge.TaskID.Value
	case scheduler.Call_ACCEPT:
		for _, op := range call.Accept.Operations {
			for _, info := range op.GetLaunch().GetTaskInfos() {
				return name + " " + info.TaskID.Value
			}
		}
	}
	return name
}

// Call implements framework.Master. It notes a violation if the framework uses the number of
// a subscription that it never had.
func (cl *Client) Call(ctx context.Context, subscription uint64, call *scheduler.Call) error {
	c := cl.c
	if ctx.Err() != nil {
		return ctx.Err()
	}
	name := nameOf(call)
	c.mu.Lock()
	late := c.within(c.options.Late, "late "+name)
	c.mu.Unlock()
	if late > 0 {
		wake.Sleep(ctx, late) // a call that was made may arrive after the framework has ended
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if subscription > c.master.subscriptions {
		c.violate("%s is made in subscription %d of %d", call.Type, subscription, c.master.subscriptions)
	}
	s := c.master.session
	if s == nil || s.client != cl || s.number != subscription || c.master.down {
		return mesosclient.ErrDisconnected
	}
	if time.Now().Before(c.master.failing) {
		return errors.New("the call was lost")
	}
	if call.Type == scheduler.Call_ACCEPT && c.master.refusing {
		return fmt.Errorf("ACCEPT: %w", mesosclient.ErrInvalid)
	}
	lost := c.chance(c.options.Loss, "lose "+name)
	if lost && c.chance(0.5, "lose early "+name) {
		return errors.New("the call was lost")
	}
	c.master.take(call)
	if lost {
		return errors.New("the call's answer was lost")
	}
	return nil
}
