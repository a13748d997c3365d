package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
	mu    sync.Mutex
	calls []string
	errs  []error
}

func (m *master) Run(context.Context, func(uint64, scheduler.Event)) error { return nil }
func (m *master) SetFrameworkID(string)                                    {}

func (m *master) Call(_ context.Context, _ uint64, c *scheduler.Call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
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
	invalid := fmt.Errorf("ACCEPT: %w", mesosclient.ErrInvalid)
	launch := mesos.TaskInfo{TaskID: mesos.TaskID{Value: "web"}, AgentID: mesos.AgentID{Value: "S1"}}
	accept := calls.Accept(calls.OfferOperations{calls.OpLaunch(launch)}.WithOffers(mesos.OfferID{Value: "O1"}))
	for _, tt := range []struct {
		name      string
		queued    []*scheduler.Call
		errs      []error
		want      []string
		uncertain []string
		refused   []string
	}{
		{"calls about an agent are made in their order", []*scheduler.Call{accept, calls.Kill("web", "S1")}, nil, []string{"ACCEPT", "KILL"}, nil, nil},
		{"calls about the market are made in their order", []*scheduler.Call{calls.Suppress(), calls.Revive()}, nil, []string{"SUPPRESS", "REVIVE"}, nil, nil},
		{"a failed call is made again before the next one", []*scheduler.Call{calls.Suppress(), calls.Revive()},
			[]error{lost, lost}, []string{"SUPPRESS", "SUPPRESS", "SUPPRESS", "REVIVE"}, nil, nil},
		{"a failed ACCEPT is undone and its tasks are uncertain", []*scheduler.Call{accept, calls.Kill("web", "S1")},
			[]error{lost, lost}, []string{"ACCEPT", "DECLINE", "DECLINE", "KILL"}, []string{"web"}, nil},
		{"a call without a subscription is dropped", []*scheduler.Call{calls.Suppress(), calls.Revive()},
			[]error{void}, []string{"SUPPRESS", "REVIVE"}, nil, nil},
		{"a dropped ACCEPT leaves its tasks uncertain", []*scheduler.Call{accept}, []error{void}, []string{"ACCEPT"}, []string{"web"}, nil},
		{"the offers of a refused ACCEPT are given back and its tasks are refused", []*scheduler.Call{accept}, []error{invalid},
			[]string{"ACCEPT", "DECLINE"}, nil, []string{"web"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &master{errs: tt.errs}
				var uncertain, refused []string
				q := newCallQueue(m, callEvents{
					uncertain: func(tasks []string) { uncertain = append(uncertain, tasks...) },
					refused:   func(tasks []string, _ error) { refused = append(refused, tasks...) },
				}, slog.New(slog.DiscardHandler))
				ctx, cancel := context.WithCancel(t.Context())
				go q.run(ctx)
				for _, c := range tt.queued {
					q.queue.Put(numbered{1, c})
				}
				time.Sleep(time.Minute)
				cancel()
				synctest.Wait()
				if diff := cmp.Diff(tt.want, m.calls); diff != "" {
					t.Errorf("calls to the master (-want +got):\n%s", diff)
				}
				counted := 0
				for _, n := range q.counts.get().Calls {
					counted += int(n)
				}
				for _, n := range q.counts.get().FailedCalls {
					counted += int(n)
				}
				if failed := q.counts.get().FailedCalls[tt.want[0]]; counted != len(tt.want) || (failed > 0) != (len(tt.errs) > 0) {
					t.Errorf("%d calls are counted, %d of %s as failed; want %d and %d errors", counted, failed, tt.want[0], len(tt.want), len(tt.errs))
				}
				if diff := cmp.Diff(tt.uncertain, uncertain); diff != "" {
					t.Errorf("uncertain tasks (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.refused, refused); diff != "" {
					t.Errorf("refused tasks (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// stuck is a Master that answers every REVIVE with an error.
type stuck struct{ master }

func (m *stuck) Call(ctx context.Context, n uint64, c *scheduler.Call) error {
	if c.Type == scheduler.Call_REVIVE {
		return errors.New("500 Internal Server Error")
	}
	return m.master.Call(ctx, n, c)
}

func TestACallThatKeepsFailingHoldsUpNoOtherAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &stuck{}
		q := newCallQueue(m, callEvents{}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go q.run(ctx)
		for _, c := range []*scheduler.Call{calls.Revive(), calls.Kill("web", "S1"), calls.Acknowledge("S1", "web", []byte("1"))} {
			q.queue.Put(numbered{1, c})
		}
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		if len(m.calls) != 2 {
			t.Errorf("while REVIVE fails, the calls that were made are %v, want the KILL and the ACKNOWLEDGE", m.calls)
		}
	})
}
