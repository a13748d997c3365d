package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	mesosclient "tombolo/framework/mesos"
)

// master is a Master whose calls fail with the next of errs, while there are any.
type master struct {
	calls []string
	errs  []error
}

func (m *master) Run(context.Context, func(scheduler.Event)) error { return nil }
func (m *master) SetFrameworkID(string)                            {}

func (m *master) Call(_ context.Context, c *scheduler.Call) error {
	m.calls = append(m.calls, c.Type.String())
	if len(m.errs) == 0 {
		return nil
	}
	err := m.errs[0]
	m.errs = m.errs[1:]
	return err
}

func TestCallQueue(t *testing.T) {
	lost, void := errors.New("connection reset"), fmt.Errorf("KILL: %w", mesosclient.ErrNotSubscribed)
	launch := mesos.TaskInfo{TaskID: mesos.TaskID{Value: "web"}}
	accept := calls.Accept(calls.OfferOperations{calls.OpLaunch(launch)}.WithOffers(mesos.OfferID{Value: "O1"}))
	for _, tt := range []struct {
		name      string
		queued    []*scheduler.Call
		errs      []error
		want      []string
		uncertain []string
	}{
		{"calls are made in their order", []*scheduler.Call{accept, calls.Suppress()}, nil, []string{"ACCEPT", "SUPPRESS"}, nil},
		{"a failed call is made again before the next one", []*scheduler.Call{calls.Kill("web", "S1"), calls.Revive()},
			[]error{lost, lost}, []string{"KILL", "KILL", "KILL", "REVIVE"}, nil},
		{"a failed ACCEPT is undone and its tasks are uncertain", []*scheduler.Call{accept, calls.Revive()},
			[]error{lost, lost}, []string{"ACCEPT", "DECLINE", "DECLINE", "REVIVE"}, []string{"web"}},
		{"a call without a subscription is dropped", []*scheduler.Call{calls.Kill("web", "S1"), calls.Revive()},
			[]error{void}, []string{"KILL", "REVIVE"}, nil},
		{"a dropped ACCEPT leaves its tasks uncertain", []*scheduler.Call{accept}, []error{void}, []string{"ACCEPT"}, []string{"web"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &master{errs: tt.errs}
				var uncertain []string
				q := newCallQueue(m, slog.New(slog.DiscardHandler), func(tasks []string) { uncertain = append(uncertain, tasks...) })
				ctx, cancel := context.WithCancel(t.Context())
				go q.run(ctx)
				for _, c := range tt.queued {
					q.queue.Put(c)
				}
				time.Sleep(time.Minute)
				cancel()
				synctest.Wait()
				if diff := cmp.Diff(tt.want, m.calls); diff != "" {
					t.Errorf("calls to the master (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.uncertain, uncertain); diff != "" {
					t.Errorf("uncertain tasks (-want +got):\n%s", diff)
				}
			})
		})
	}
}
