package mesos

import (
	"context"
	"fmt"
	"io"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Call sends one call of the present subscription; it fills in the framework id.
// A nil error means that the master took it, not that it did anything: calls
// about unknown offers, tasks or roles are taken too. An error that voids the
// subscription makes Run subscribe anew.
func (c *Client) Call(ctx context.Context, call *scheduler.Call) error {
	s := c.current()
	if s == nil {
		return fmt.Errorf("%s: %w", call.Type, ErrDisconnected)
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.CallTimeout)
	defer cancel()
	sent := *call
	sent.FrameworkID = &mesos.FrameworkID{Value: c.FrameworkID()}
	response, err := c.post(ctx, s.url, s.streamID, &sent)
	if err != nil {
		err = fmt.Errorf("%s: %w", call.Type, err)
		if sessionLost(err) {
			s.cancel(err)
		}
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxErrorBody)); err != nil {
		return fmt.Errorf("%s: %w", call.Type, err)
	}
	return nil
}

// Accept uses offers of one agent for operations, in their order. What they leave
// of the offers is refused for refuse (0: offered again at once).
func (c *Client) Accept(ctx context.Context, offers []mesos.OfferID, operations []mesos.Offer_Operation, refuse time.Duration) error {
	return c.Call(ctx, &scheduler.Call{
		Type:   scheduler.Call_ACCEPT,
		Accept: &scheduler.Call_Accept{OfferIDs: offers, Operations: operations, Filters: filters(refuse)},
	})
}

// Launch returns the operation that launches tasks.
func Launch(tasks ...mesos.TaskInfo) mesos.Offer_Operation {
	return mesos.Offer_Operation{
		Type:   mesos.Offer_Operation_LAUNCH,
		Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks},
	}
}

// Decline gives offers back; their resources are not offered for refuse.
func (c *Client) Decline(ctx context.Context, offers []mesos.OfferID, refuse time.Duration) error {
	return c.Call(ctx, &scheduler.Call{
		Type:    scheduler.Call_DECLINE,
		Decline: &scheduler.Call_Decline{OfferIDs: offers, Filters: filters(refuse)},
	})
}

func filters(refuse time.Duration) *mesos.Filters {
	seconds := refuse.Seconds()
	return &mesos.Filters{RefuseSeconds: &seconds}
}

// Revive asks for offers again and clears all refusals; no role means all.
func (c *Client) Revive(ctx context.Context, roles ...string) error {
	return c.Call(ctx, &scheduler.Call{
		Type: scheduler.Call_REVIVE, Revive: &scheduler.Call_Revive{Roles: roles},
	})
}

// Suppress asks for no more offers; no role means all.
func (c *Client) Suppress(ctx context.Context, roles ...string) error {
	return c.Call(ctx, &scheduler.Call{
		Type: scheduler.Call_SUPPRESS, Suppress: &scheduler.Call_Suppress{Roles: roles},
	})
}

// Acknowledge says that an update is stored. An update without a uuid wants no
// acknowledgement: nothing is sent.
func (c *Client) Acknowledge(ctx context.Context, status mesos.TaskStatus) error {
	if len(status.UUID) == 0 || status.AgentID == nil {
		return nil
	}
	return c.Call(ctx, &scheduler.Call{
		Type: scheduler.Call_ACKNOWLEDGE,
		Acknowledge: &scheduler.Call_Acknowledge{
			AgentID: *status.AgentID, TaskID: status.TaskID, UUID: status.UUID,
		},
	})
}

// Kill ends a task; agent "" is unknown, a nil policy is the task's own.
func (c *Client) Kill(ctx context.Context, task, agent string, policy *mesos.KillPolicy) error {
	kill := &scheduler.Call_Kill{TaskID: mesos.TaskID{Value: task}, KillPolicy: policy}
	if agent != "" {
		kill.AgentID = &mesos.AgentID{Value: agent}
	}
	return c.Call(ctx, &scheduler.Call{Type: scheduler.Call_KILL, Kill: kill})
}

// Reconcile asks for the state of tasks, given as task id -> agent id ("" when
// unknown); none means of all that the master knows. Answers are updates; after a
// master's restart there may be none until the agent is back: repeat it.
func (c *Client) Reconcile(ctx context.Context, tasks map[string]string) error {
	r := &scheduler.Call_Reconcile{}
	for task, agent := range tasks {
		t := scheduler.Call_Reconcile_Task{TaskID: mesos.TaskID{Value: task}}
		if agent != "" {
			t.AgentID = &mesos.AgentID{Value: agent}
		}
		r.Tasks = append(r.Tasks, t)
	}
	return c.Call(ctx, &scheduler.Call{Type: scheduler.Call_RECONCILE, Reconcile: r})
}

// Shutdown ends an executor and its tasks.
func (c *Client) Shutdown(ctx context.Context, executor, agent string) error {
	return c.Call(ctx, &scheduler.Call{
		Type: scheduler.Call_SHUTDOWN,
		Shutdown: &scheduler.Call_Shutdown{
			ExecutorID: mesos.ExecutorID{Value: executor}, AgentID: mesos.AgentID{Value: agent},
		},
	})
}

// UpdateFramework changes the framework's description in place; user, principal
// and checkpoint cannot change.
func (c *Client) UpdateFramework(ctx context.Context, info mesos.FrameworkInfo, suppressed []string) error {
	info.ID = &mesos.FrameworkID{Value: c.FrameworkID()}
	err := c.Call(ctx, &scheduler.Call{
		Type:            scheduler.Call_UPDATE_FRAMEWORK,
		UpdateFramework: &scheduler.Call_UpdateFramework{FrameworkInfo: info, SuppressedRoles: suppressed},
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framework = info
	return nil
}

// Teardown removes the framework and kills its tasks; Run then returns ErrRemoved
// or, when the stream's end is seen first, tries once more and returns it.
func (c *Client) Teardown(ctx context.Context) error {
	return c.Call(ctx, &scheduler.Call{Type: scheduler.Call_TEARDOWN})
}
