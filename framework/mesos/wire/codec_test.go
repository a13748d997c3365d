package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/mesostest"
	"tombolo/framework/mesos/wire"
)

// Each event that a real master has sent as JSON keeps its meaning when it is encoded as protobuf.
func TestRecordedEventsAsProtobuf(t *testing.T) {
	sizes := map[string]int{}
	eachStream(t, func(name string, e *mesostest.Exchange) {
		for i, body := range records(t, name, e.Response.Body) {
			var event, again scheduler.Event
			if _, err := wire.JSON.Decode(body, &event); err != nil {
				t.Fatalf("%s: event %d: %v", name, i, err)
			}
			encoded, err := wire.Protobuf.Encode(&event)
			if err != nil {
				t.Fatalf("%s: event %d: %v", name, i, err)
			}
			if unknown, err := wire.Protobuf.Decode(encoded, &again); err != nil || len(unknown) > 0 {
				t.Fatalf("%s: event %d: %v, unknown values %q", name, i, err, unknown)
			}
			if diff := cmp.Diff(asJSON(t, &event), asJSON(t, &again)); diff != "" {
				t.Errorf("%s: event %d (-JSON +protobuf):\n%s", name, i, diff)
			}
			sizes["json"] += len(body)
			sizes["protobuf"] += len(encoded)
		}
	})
	t.Logf("all events: %d bytes as JSON, %d as protobuf", sizes["json"], sizes["protobuf"])
}

func asJSON(t *testing.T, m wire.Message) string {
	t.Helper()
	text, err := wire.JSON.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Values of a newer master become Unknown in both forms, and the rest of the event is kept.
func TestUnknownValues(t *testing.T) {
	newer := scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{
		Status: mesos.TaskStatus{TaskID: mesos.TaskID{Value: "t1"}, State: mesos.TaskState(99).Enum(), UUID: []byte("uuid")},
	}}
	encoded, err := wire.Protobuf.Encode(&newer)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		form wire.Codec
		data string
		want []string
	}{
		{wire.JSON, `{"type":"UPDATE","update":{"status":{"task_id":{"value":"t1"},"state":"TASK_NEWER","uuid":"dXVpZA=="}}}`, []string{"TASK_NEWER"}},
		{wire.Protobuf, string(encoded), []string{"99"}},
		{wire.JSON, `{"type":"NEWER"}`, nil},
		{wire.Protobuf, "\x08\x63", []string{"99"}},
	} {
		var got scheduler.Event
		unknown, err := c.form.Decode([]byte(c.data), &got)
		if err != nil {
			t.Errorf("%s %q: %v", c.form.MediaType(), c.data, err)
		}
		if diff := cmp.Diff(c.want, unknown); diff != "" {
			t.Errorf("%s %q: unknown values (-want +got):\n%s", c.form.MediaType(), c.data, diff)
		}
		if got.Type == scheduler.Event_UPDATE {
			status := got.Update.Status
			if status.GetState() != wire.Unknown || status.TaskID.Value != "t1" || string(status.UUID) != "uuid" {
				t.Errorf("%s %q: the status is %+v, want t1 in an unknown state, with its UUID", c.form.MediaType(), c.data, status)
			}
		} else if got.Type != scheduler.Event_UNKNOWN {
			t.Errorf("%s %q: the type is %s, want UNKNOWN", c.form.MediaType(), c.data, got.Type)
		}
	}
}

// BenchmarkEvents decodes an event with 1,000 offers, in both forms.
func BenchmarkEvents(b *testing.B) {
	event := offers(b, 1000)
	for _, form := range []wire.Codec{wire.JSON, wire.Protobuf} {
		data, err := form.Encode(event)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(form.MediaType(), func(b *testing.B) {
			b.ReportMetric(float64(len(data))/1000, "bytes/offer")
			for b.Loop() {
				var got scheduler.Event
				if _, err := form.Decode(data, &got); err != nil || len(got.Offers.Offers) != 1000 {
					b.Fatal(err)
				}
			}
		})
	}
}

// offers returns an event with n copies of an offer of a real master.
func offers(tb testing.TB, n int) *scheduler.Event {
	tb.Helper()
	for _, r := range mesostest.Recordings(tb) {
		for i := range r.Exchanges {
			e := &r.Exchanges[i]
			if !e.Streamed() || e.Header.Get("Accept") == wire.Protobuf.MediaType() {
				continue
			}
			for _, body := range records(tb, r.Name, e.Response.Body) {
				var event scheduler.Event
				if _, err := wire.JSON.Decode(body, &event); err == nil && len(event.GetOffers().GetOffers()) > 0 {
					one := event.Offers.Offers[0]
					event.Offers.Offers = nil
					for range n {
						event.Offers.Offers = append(event.Offers.Offers, one)
					}
					return &event
				}
			}
		}
	}
	tb.Fatal("no recorded offer was found")
	return nil
}
