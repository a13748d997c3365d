package master

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/local"
	"tombolo/framework/mesos"
	"tombolo/framework/mesos/wire"
)

func TestKillWhileAgentIsAway(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		o := b.running(a, "t1")
		a.m.Send(a, local.Departure{})
		synctest.Wait()
		b.must(b.client.Call(context.Background(), calls.Kill("t1", "")))
		if got := a.messages(); len(got) != 0 {
			t.Errorf("told %+v", got)
		}
		info := tester
		info.ID = &lib.FrameworkID{Value: b.client.FrameworkID()}
		a.register(local.Task{Framework: info, Task: dockerTask("t1", o), State: lib.TASK_RUNNING})
		if got := a.messages(); len(got) != 2 || got[1].(local.Kill).TaskID.Value != "t1" {
			t.Errorf("told %+v", got)
		}
	})
}

// TestLaunchLostOnTheWay: the agent went before it saw the launch, came back, and
// only then found it.
func TestLaunchLostOnTheWay(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		o := b.offer()
		b.heard.Take()
		b.must(b.client.Call(context.Background(), calls.Accept(calls.OfferOperations{calls.OpLaunch(dockerTask("t1", o))}.WithOffers([]lib.OfferID{o.ID}...)).With(calls.RefuseSeconds(time.Hour))))
		a.messages()
		a.m.Send(a, local.Departure{})
		a.register()
		b.expect("UPDATE t1 TASK_LOST REASON_RECONCILIATION (no uuid)")
		a.messages()
		a.update(b.client.FrameworkID(), "t1", lib.TASK_RUNNING)
		want := local.Registered{AgentID: *a.info.ID, Unknown: []local.TaskRef{{
			FrameworkID: lib.FrameworkID{Value: b.client.FrameworkID()}, TaskID: lib.TaskID{Value: "t1"},
		}}}
		if diff := cmp.Diff([]local.ToAgent{want}, a.messages()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOffersThatDoNotGoTogether(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		for _, host := range []string{"h1", "h2"} {
			newScriptedAgent(b.master, host).register()
		}
		synctest.Wait()
		b.heard.Take()
		offers := b.offers.Take()
		b.must(b.client.Call(context.Background(), calls.Accept(calls.OfferOperations{calls.OpLaunch(dockerTask("t1", offers[0]))}.WithOffers([]lib.OfferID{offers[0].ID, offers[1].ID}...)).With(calls.RefuseSeconds(0))))
		b.expect("UPDATE t1 TASK_LOST REASON_INVALID_OFFERS (no uuid)")
		time.Sleep(time.Second)
		b.expect("OFFERS 2")
	})
}

func TestAgentTakenOutOfService(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		b.running(a, "t1")
		time.Sleep(time.Second)
		b.expect("OFFERS 1")
		operate := func(call string) {
			id := a.info.ID.Value
			body := fmt.Sprintf(`{"type":%q,%q:{"agent_id":{"value":%q}}}`, strings.ToUpper(call), call, id)
			r, err := b.server.Client().Post("http://master/api/v1", "application/json", strings.NewReader(body))
			b.must(err)
			r.Body.Close()
			if r.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", call, r.StatusCode)
			}
		}
		operate("deactivate_agent")
		time.Sleep(time.Minute)
		b.expect("RESCIND")
		operate("reactivate_agent")
		time.Sleep(time.Second)
		b.expect("OFFERS 1")
		old := a.info.ID.Value
		operate("mark_agent_gone")
		b.expect("UPDATE t1 TASK_LOST REASON_AGENT_REMOVED (no uuid)", "RESCIND", "FAILURE")
		a.messages()
		a.register()
		a.messages()
		if a.info.ID.Value == old {
			t.Error("an agent that is gone came back under its id")
		}
	})
}

// TestProtobufStream: the same subscription in protobuf, both ways.
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
			t.Errorf("content type %s", got)
		}
		records := wire.NewReader(response.Body, wire.MaxRecord)
		for _, want := range []scheduler.Event_Type{scheduler.Event_SUBSCRIBED, scheduler.Event_HEARTBEAT} {
			record, err := records.Next()
			b.must(err)
			var event scheduler.Event
			if err := event.Unmarshal(record); err != nil || event.Type != want {
				t.Errorf("got %v, %v, want %s", event, err, want)
			}
		}
	})
}

func TestDeafSchedulerIsCutOff(t *testing.T) {
	s := newStream(false)
	for range maxQueued + 1 {
		s.send(&scheduler.Event{Type: scheduler.Event_HEARTBEAT})
	}
	select {
	case <-s.ended:
	default:
		t.Error("still open")
	}
}

func TestCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, Config{Credentials: map[string]string{"p": "s"}})
		defer b.close()
		client := mesos.New(mesos.Config{
			Masters: []string{"m:1"}, Framework: tester, HTTP: b.server.Client(),
			Credentials: &mesos.Credentials{Principal: "p", Secret: "s"},
		})
		ctx, cancel := context.WithCancel(context.Background())
		heard := make(chan string, 10)
		ended := make(chan error)
		go func() {
			ended <- client.Run(ctx, func(e scheduler.Event) { heard <- e.Type.String() })
		}()
		if got := <-heard; got != "SUBSCRIBED" {
			t.Errorf("heard %s", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// FuzzCall: whatever is posted, the master answers and goes on.
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
			return // it would not return
		}
		r := httptest.NewRequest(http.MethodPost, "/api/v1/scheduler", bytes.NewReader(body))
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("Mesos-Stream-Id", s.id)
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		s.events.Take()
	})
}
