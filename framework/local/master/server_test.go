package master

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos"
	"tombolo/framework/mesos/wire"
)

func TestPagesAndCredentials(t *testing.T) {
	inBubble(t, Config{Credentials: map[string]string{"p": "s"}}, func(b *bed) {
		if err := <-b.ended; !errors.Is(err, mesos.ErrUnauthorized) {
			t.Errorf("a client without credentials ended with %v, want %v", err, mesos.ErrUnauthorized)
		}
		for path, want := range map[string]int{"/health": 200, "/version": 200, "/state": 401, "/nosuch": 404} {
			r, err := b.server.Client().Get("http://master" + path)
			b.must(err)
			r.Body.Close()
			if r.StatusCode != want {
				t.Errorf("without credentials %s has status %d, want %d", path, r.StatusCode, want)
			}
		}
	})
}

func TestClientWithCredentialsSubscribes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, Config{Credentials: map[string]string{"p": "s"}})
		defer b.close()
		client := mesos.New(mesos.Config{
			Masters: []string{"m:1"}, Framework: tester, HTTP: b.server.Client(),
			Credentials: &mesos.Credentials{Principal: "p", Secret: "s"},
		})
		ctx, cancel := context.WithCancel(context.Background())
		events := make(chan string, 10)
		ended := make(chan error)
		go func() {
			ended <- client.Run(ctx, func(_ uint64, e scheduler.Event) { events <- e.Type.String() })
		}()
		if got := <-events; got != "SUBSCRIBED" {
			t.Errorf("the first event is %s, want SUBSCRIBED", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// The client of the other tests speaks JSON. Here the call and the stream are protobuf.
func TestProtobufStream(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		call := &scheduler.Call{Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: &tester}}
		body, err := call.Marshal()
		b.must(err)
		r, err := http.NewRequest(http.MethodPost, "http://master/api/v1/scheduler", bytes.NewReader(body))
		b.must(err)
		r.Header.Set("Content-Type", protobufType)
		r.Header.Set("Accept", protobufType)
		response, err := b.server.Client().Do(r)
		b.must(err)
		defer response.Body.Close()
		if got := response.Header.Get("Content-Type"); got != protobufType {
			t.Errorf("the stream has the content type %s, want %s", got, protobufType)
		}
		records := wire.NewReader(response.Body, wire.MaxRecord)
		for _, want := range []scheduler.Event_Type{scheduler.Event_SUBSCRIBED, scheduler.Event_HEARTBEAT} {
			record, err := records.Next()
			b.must(err)
			var event scheduler.Event
			if err := event.Unmarshal(record); err != nil || event.Type != want {
				t.Errorf("the stream has %v (error %v), want %s", event, err, want)
			}
		}
	})
}

func TestSchedulerThatReadsNothingIsCutOff(t *testing.T) {
	s := newStream(false)
	for range maxQueued + 1 {
		s.send(&scheduler.Event{Type: scheduler.Event_HEARTBEAT})
	}
	select {
	case <-s.ended:
	default:
		t.Errorf("the stream is open although %d events wait, want it ended", maxQueued+1)
	}
}

// FuzzCall posts anything: the master answers, never with a 5xx status, and goes on.
func FuzzCall(f *testing.F) {
	f.Add([]byte(`{"type":"ACCEPT","framework_id":{"value":"f"},"accept":{"offer_ids":[{"value":"o"}],"operations":[{"launch":{"task_infos":[]}}]}}`))
	f.Add([]byte(`{"type":"RECONCILE","framework_id":{"value":"f"},"reconcile":{"tasks":[{"task_id":{"value":"x"}}]}}`))
	m, err := New(Config{}, quiet)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	f.Cleanup(func() { cancel(); <-done })
	info := tester
	info.ID = &lib.FrameworkID{Value: "f"}
	s := newStream(false)
	if _, err := ask(ctx, m.loop, func() bool {
		m.subscriptions.subscribe(s, &scheduler.Call_Subscribe{FrameworkInfo: &info})
		return true
	}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Contains(body, []byte("SUBSCRIBE")) {
			return // the handler of a subscription does not return
		}
		r := httptest.NewRequest(http.MethodPost, "/api/v1/scheduler", bytes.NewReader(body))
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("Mesos-Stream-Id", s.id)
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("the master answered with status %d: %s", w.Code, w.Body)
		}
		s.events.Take()
	})
}
