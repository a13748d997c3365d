package mesos_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos"
	"tombolo/framework/mesos/wire"
)

func TestSpeaksProtobuf(t *testing.T) {
	run(t, mesos.Config{}, func(w http.ResponseWriter, r *http.Request, _ *scheduler.Call) {
		for _, header := range []string{"Content-Type", "Accept"} {
			if got := r.Header.Get(header); got != "application/x-protobuf" {
				t.Errorf("%s is %q, want application/x-protobuf", header, got)
			}
		}
		w.Header().Set("Mesos-Stream-Id", "stream-1")
		w.Header().Set("Content-Type", "application/x-protobuf")
		writeAs(w, wire.Protobuf, &scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{FrameworkID: &lib.FrameworkID{Value: "f1"}}})
		writeAs(w, wire.Protobuf, &scheduler.Event{Type: 77}) // of a newer master
		writeAs(w, wire.Protobuf, &scheduler.Event{Type: scheduler.Event_HEARTBEAT})
		<-r.Context().Done()
	}, func(b *bed) { b.expect("SUBSCRIBED", "UNKNOWN", "HEARTBEAT") })
}

// A master, or something in front of it, that does not take protobuf is asked in JSON, at once and
// from then on.
func TestTurnsToJSON(t *testing.T) {
	for name, refuse := range map[string]http.HandlerFunc{
		"415": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "JSON only", http.StatusUnsupportedMediaType)
		},
		"406": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "JSON only", http.StatusNotAcceptable)
		},
		"an event that is no message": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.Write(wire.AppendRecord(nil, []byte("\xff\xff\xff")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			run(t, mesos.Config{}, func(w http.ResponseWriter, r *http.Request, _ *scheduler.Call) {
				asked = append(asked, r.Header.Get("Content-Type"))
				if len(asked) == 1 {
					refuse(w, r)
					return
				}
				subscribed(w, "f1")
				if len(asked) == 3 {
					<-r.Context().Done()
				}
			}, func(b *bed) {
				b.expect("SUBSCRIBED", "DISCONNECTED") // without a pause
				time.Sleep(time.Second)
				b.expect("SUBSCRIBED", "DISCONNECTED", "SUBSCRIBED")
				want := []string{"application/x-protobuf", "application/json", "application/json"}
				if diff := cmp.Diff(want, asked); diff != "" {
					t.Errorf("the forms of the calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}
