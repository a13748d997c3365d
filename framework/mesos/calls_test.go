package mesos_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos"
	"tombolo/framework/mesos/wire"
)

// TestCallBodies compares what our calls look like with recorded ones that a real
// master took.
func TestCallBodies(t *testing.T) {
	ctx := context.Background()
	offers := []lib.OfferID{{Value: "O1"}}
	for _, c := range []struct {
		name string
		call func(*mesos.Client) error
		want string
	}{
		{"accept", func(c *mesos.Client) error {
			return c.Accept(ctx, offers, []lib.Offer_Operation{mesos.Launch()}, 500*time.Millisecond)
		},
			`{"framework_id":{"value":"f1"},"type":"ACCEPT","accept":{"offer_ids":[{"value":"O1"}],"operations":[{"type":"LAUNCH","launch":{}}],"filters":{"refuse_seconds":0.5}}}`},
		{"decline", func(c *mesos.Client) error { return c.Decline(ctx, offers, time.Hour) },
			`{"framework_id":{"value":"f1"},"type":"DECLINE","decline":{"offer_ids":[{"value":"O1"}],"filters":{"refuse_seconds":3600.0}}}`},
		{"revive", func(c *mesos.Client) error { return c.Revive(ctx, "r") },
			`{"framework_id":{"value":"f1"},"type":"REVIVE","revive":{"roles":["r"]}}`},
		{"suppress", func(c *mesos.Client) error { return c.Suppress(ctx) },
			`{"framework_id":{"value":"f1"},"type":"SUPPRESS","suppress":{}}`},
		{"acknowledge", func(c *mesos.Client) error {
			return c.Acknowledge(ctx, lib.TaskStatus{TaskID: lib.TaskID{Value: "t"}, AgentID: &lib.AgentID{Value: "a"}, UUID: []byte("0123456789abcdef")})
		}, `{"framework_id":{"value":"f1"},"type":"ACKNOWLEDGE","acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"MDEyMzQ1Njc4OWFiY2RlZg=="}}`},
		{"kill", func(c *mesos.Client) error {
			return c.Kill(ctx, "t", "", &lib.KillPolicy{GracePeriod: &lib.DurationInfo{Nanoseconds: 1}})
		}, `{"framework_id":{"value":"f1"},"type":"KILL","kill":{"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":1}}}}`},
		{"reconcile all", func(c *mesos.Client) error { return c.Reconcile(ctx, nil) },
			`{"framework_id":{"value":"f1"},"type":"RECONCILE","reconcile":{}}`},
		{"reconcile one", func(c *mesos.Client) error { return c.Reconcile(ctx, map[string]string{"t": "a"}) },
			`{"framework_id":{"value":"f1"},"type":"RECONCILE","reconcile":{"tasks":[{"task_id":{"value":"t"},"agent_id":{"value":"a"}}]}}`},
		{"shutdown", func(c *mesos.Client) error { return c.Shutdown(ctx, "e", "a") },
			`{"framework_id":{"value":"f1"},"type":"SHUTDOWN","shutdown":{"executor_id":{"value":"e"},"agent_id":{"value":"a"}}}`},
		{"teardown", func(c *mesos.Client) error { return c.Teardown(ctx) },
			`{"framework_id":{"value":"f1"},"type":"TEARDOWN"}`},
		{"update", func(c *mesos.Client) error {
			return c.UpdateFramework(ctx, lib.FrameworkInfo{User: "u", Name: "n"}, []string{"r"})
		}, `{"framework_id":{"value":"f1"},"type":"UPDATE_FRAMEWORK","update_framework":{"framework_info":{"user":"u","name":"n","id":{"value":"f1"}},"suppressed_roles":["r"]}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []byte
			run(t, mesos.Config{}, func(w http.ResponseWriter, r *http.Request, call *scheduler.Call) {
				if call.Type == scheduler.Call_SUBSCRIBE {
					subscribed(w, "f1")
					<-r.Context().Done()
					return
				}
				got, _ = wire.Marshal(call)
				w.WriteHeader(http.StatusAccepted)
			}, func(b *bed) {
				if err := c.call(b.client); err != nil {
					t.Fatal(err)
				}
			})
			if diff := cmp.Diff(canonical(t, c.want), canonical(t, string(got))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func canonical(t *testing.T, body string) string {
	t.Helper()
	call := new(scheduler.Call)
	if err := wire.Unmarshal([]byte(body), call); err != nil {
		t.Fatal(err)
	}
	b, err := wire.Marshal(call)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
