package mesos_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/mesos"
	"tombolo/framework/mesos/wire"
)

// TestCallBodies compares the framework's calls, which mesos-go makes and package wire
// encodes, with recorded ones that a real master has taken.
func TestCallBodies(t *testing.T) {
	refuse, offer := calls.RefuseSeconds(500*time.Millisecond), lib.OfferID{Value: "O1"}
	for _, c := range []struct {
		name string
		call *scheduler.Call
		want string
	}{
		{"accept", calls.Accept(calls.OfferOperations{calls.OpLaunch()}.WithOffers(offer)).With(refuse),
			`{"framework_id":{"value":"f1"},"type":"ACCEPT","accept":{"offer_ids":[{"value":"O1"}],"operations":[{"type":"LAUNCH","launch":{}}],"filters":{"refuse_seconds":0.5}}}`},
		{"decline", calls.Decline(offer).With(refuse),
			`{"framework_id":{"value":"f1"},"type":"DECLINE","decline":{"offer_ids":[{"value":"O1"}],"filters":{"refuse_seconds":0.5}}}`},
		{"revive", calls.Revive(), `{"framework_id":{"value":"f1"},"type":"REVIVE"}`},
		{"suppress", calls.Suppress(), `{"framework_id":{"value":"f1"},"type":"SUPPRESS"}`},
		{"acknowledge", calls.Acknowledge("a", "t", []byte("0123456789abcdef")),
			`{"framework_id":{"value":"f1"},"type":"ACKNOWLEDGE","acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"MDEyMzQ1Njc4OWFiY2RlZg=="}}`},
		{"kill", calls.Kill("t", "a"), `{"framework_id":{"value":"f1"},"type":"KILL","kill":{"task_id":{"value":"t"},"agent_id":{"value":"a"}}}`},
		{"reconcile all", calls.Reconcile(), `{"framework_id":{"value":"f1"},"type":"RECONCILE","reconcile":{}}`},
		{"reconcile one", calls.Reconcile(calls.ReconcileTasks(map[string]string{"t": "a"})),
			`{"framework_id":{"value":"f1"},"type":"RECONCILE","reconcile":{"tasks":[{"task_id":{"value":"t"},"agent_id":{"value":"a"}}]}}`},
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
				if err := b.client.Call(context.Background(), 1, c.call); err != nil {
					t.Fatal(err)
				}
			})
			if diff := cmp.Diff(canonical(t, c.want), canonical(t, string(got))); diff != "" {
				t.Errorf("body of the call (-want +got):\n%s", diff)
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
