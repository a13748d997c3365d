package mesos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
	"go.uber.org/goleak"

	"tombolo/framework/mesos"
	"tombolo/framework/mesos/mesostest"
	"tombolo/framework/mesos/wire"
	"tombolo/internal/wake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a master that answers each call with a function of the test.
type script struct {
	mu    sync.Mutex
	calls []string // "HOST TYPE" of each call so far
	// answer answers a call. That of a subscription returns when the stream is to end.
	answer func(w http.ResponseWriter, r *http.Request, call *scheduler.Call)
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form := wire.JSON
	if r.Header.Get("Content-Type") == wire.Protobuf.MediaType() {
		form = wire.Protobuf
	}
	call := new(scheduler.Call)
	if _, err := form.Decode(body, call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, r.Host+" "+call.Type.String())
	s.mu.Unlock()
	s.answer(w, r, call)
}

func (s *script) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// subscribed writes the response headers of a subscription and its first event.
func subscribed(w http.ResponseWriter, id string) {
	w.Header().Set("Mesos-Stream-Id", "stream-1")
	write(w, &scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{
		FrameworkID: &lib.FrameworkID{Value: id}, HeartbeatIntervalSeconds: ptr(15.0),
	}})
}

// write writes an event as JSON, whatever the client has asked for.
func write(w http.ResponseWriter, event *scheduler.Event) {
	w.Header().Set("Content-Type", wire.JSON.MediaType())
	writeAs(w, wire.JSON, event)
}

func writeAs(w http.ResponseWriter, form wire.Codec, event *scheduler.Event) {
	body, err := form.Encode(event)
	if err != nil {
		panic(err)
	}
	w.Write(wire.AppendRecord(nil, body))
	http.NewResponseController(w).Flush()
}

func ptr[T any](v T) *T { return &v }

// bed is a client that runs against a script in fake time.
type bed struct {
	t      *testing.T
	script *script
	client *mesos.Client
	mu     sync.Mutex
	heard  []string
	ended  chan error
}

func run(t *testing.T, config mesos.Config, answer func(http.ResponseWriter, *http.Request, *scheduler.Call), test func(*bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{t: t, script: &script{answer: answer}, ended: make(chan error, 1)}
		server := mesostest.Serve(b.script)
		config.HTTP = server.Client()
		config.Framework.User, config.Framework.Name = "root", "test"
		if config.Masters == nil {
			config.Masters = []string{"m1:5050"}
		}
		config.Disconnected = func(error) { b.hear("DISCONNECTED") }
		b.client = mesos.New(config)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			b.ended <- b.client.Run(ctx, func(_ uint64, e scheduler.Event) { b.hear(e.Type.String()) })
		}()
		synctest.Wait()
		test(b)
		cancel()
		server.Close()
		synctest.Wait()
	})
}

func (b *bed) hear(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = append(b.heard, what)
}

func (b *bed) expect(want ...string) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff(want, b.heard); diff != "" {
		b.t.Errorf("events that the client has passed on (-want +got):\n%s", diff)
	}
}

func TestReconnectsAfterSilence(t *testing.T) {
	run(t, mesos.Config{}, func(w http.ResponseWriter, r *http.Request, c *scheduler.Call) {
		if got := c.FrameworkID.GetValue() + c.Subscribe.FrameworkInfo.ID.GetValue(); got != "" && got != "f1f1" {
			t.Errorf("subscribed with the framework IDs %q, want none or f1 in both places", got)
		}
		subscribed(w, "f1")
		<-r.Context().Done()
	}, func(b *bed) {
		b.expect("SUBSCRIBED")
		time.Sleep(74 * time.Second)
		b.expect("SUBSCRIBED")
		time.Sleep(2 * time.Second)
		b.expect("SUBSCRIBED", "DISCONNECTED", "SUBSCRIBED")
		if got := b.client.FrameworkID(); got != "f1" {
			b.t.Errorf("the framework ID is %q, want that of SUBSCRIBED, f1", got)
		}
	})
}

func TestFollowsTheLeader(t *testing.T) {
	leader := "m2:5052"
	run(t, mesos.Config{Masters: []string{"m1:5051"}}, func(w http.ResponseWriter, r *http.Request, c *scheduler.Call) {
		if r.Host != leader {
			w.Header().Set("Location", "//"+leader+"/master/api/v1/scheduler")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		if r.URL.Path != "/master/api/v1/scheduler" {
			t.Errorf("the leader was asked at path %s, want the one that the redirect names", r.URL.Path)
		}
		if c.Type == scheduler.Call_REVIVE {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		subscribed(w, "f1")
		<-r.Context().Done()
	}, func(b *bed) {
		b.expect("SUBSCRIBED")
		if err := b.client.Call(context.Background(), 1, calls.Revive()); err != nil {
			b.t.Error(err)
		}
		want := []string{"m1:5051 SUBSCRIBE", "m2:5052 SUBSCRIBE", "m2:5052 REVIVE"}
		if diff := cmp.Diff(want, b.script.seen()); diff != "" {
			b.t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// TestTriesEveryMaster has a leader that is dead, a standby that still points at it, and
// a third master that is not ready first and then leads.
func TestTriesEveryMaster(t *testing.T) {
	tries := 0
	run(t, mesos.Config{Masters: []string{"m1:1", "http://m2:2", "m3:3"}}, func(w http.ResponseWriter, r *http.Request, _ *scheduler.Call) {
		switch r.Host {
		case "m1:1":
			panic(http.ErrAbortHandler)
		case "m2:2":
			w.Header().Set("Location", "//m1:1/master/api/v1/scheduler")
			w.WriteHeader(http.StatusTemporaryRedirect)
		default:
			if tries++; tries == 1 {
				http.Error(w, "No leader elected", http.StatusServiceUnavailable)
				return
			}
			subscribed(w, "f1")
			<-r.Context().Done()
		}
	}, func(b *bed) {
		time.Sleep(time.Minute)
		b.expect("SUBSCRIBED")
	})
}

func TestPausesBetweenSubscriptionsGrow(t *testing.T) {
	times := wake.NewQueue[time.Time]()
	run(t, mesos.Config{}, func(w http.ResponseWriter, _ *http.Request, _ *scheduler.Call) {
		if times.Put(time.Now()) == 10 {
			subscribed(w, "f1") // and ends at once
			return
		}
		http.Error(w, "No leader elected", http.StatusServiceUnavailable)
	}, func(*bed) {
		time.Sleep(2 * time.Minute)
		attempts := times.Take()
		for i, want := range []time.Duration{200, 400, 800, 1600, 3200, 6400, 12800, 15000, 15000, 200, 400} { // the first again after a subscription
			want *= time.Millisecond
			if pause := attempts[i+1].Sub(attempts[i]); pause < want/2 || pause > want*3/2 {
				t.Errorf("pause %d took %v, want about %v", i+1, pause, want)
			}
		}
	})
}

func TestErrorsEndRun(t *testing.T) {
	for _, c := range []struct {
		message string
		want    error
	}{
		{"Framework has been removed", mesos.ErrRemoved},
		{"Framework failed over", mesos.ErrFailedOver},
		{"Roles { other } are not present in the master's --roles", mesos.ErrRefused},
	} {
		t.Run(c.message, func(t *testing.T) {
			run(t, mesos.Config{}, func(w http.ResponseWriter, _ *http.Request, _ *scheduler.Call) {
				write(w, &scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: c.message}})
			}, func(b *bed) {
				if err := <-b.ended; !errors.Is(err, c.want) {
					t.Errorf("Run returned %v, want %v", err, c.want)
				}
			})
		})
	}
}

func TestErrorsOfCalls(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   error
		again  bool // the error voids the subscription
	}{
		{202, "", nil, false},
		{400, "Framework cannot be found", mesos.ErrUnknownFramework, true},
		{400, "The stream ID 'a' included in this request didn't match the stream ID currently associated with framework ID f1", mesos.ErrStreamID, true},
		{400, "Failed to validate scheduler::Call: Expecting 'decline' to be present", mesos.ErrInvalid, false},
		{401, "401 Unauthorized.", mesos.ErrUnauthorized, false},
		{403, "Framework is not subscribed", mesos.ErrNotSubscribed, true},
		{404, "404 Not Found.", mesos.ErrUnavailable, false},
		{500, "oops", mesos.ErrUnavailable, false},
		{503, "No leader elected", mesos.ErrUnavailable, false},
	} {
		t.Run(fmt.Sprint(c.status, c.body), func(t *testing.T) {
			run(t, mesos.Config{}, func(w http.ResponseWriter, r *http.Request, call *scheduler.Call) {
				if call.Type == scheduler.Call_SUBSCRIBE {
					subscribed(w, "f1")
					<-r.Context().Done()
					return
				}
				if got := r.Header.Get("Mesos-Stream-Id") + call.FrameworkID.GetValue(); got != "stream-1f1" {
					t.Errorf("the call has stream and framework IDs %q, want those of the subscription", got)
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}, func(b *bed) {
				err := b.client.Call(context.Background(), 1, calls.Decline(lib.OfferID{Value: "o"}).With(calls.RefuseSeconds(time.Second)))
				if !errors.Is(err, c.want) {
					t.Errorf("Call returned %v, want %v", err, c.want)
				}
				var status *mesos.StatusError
				if c.want != nil && (!errors.As(err, &status) || status.Message != c.body) {
					t.Errorf("Call returned %v, want a StatusError with the master's message", err)
				}
				time.Sleep(time.Second)
				want := []string{"SUBSCRIBED"}
				if c.again {
					want = []string{"SUBSCRIBED", "DISCONNECTED", "SUBSCRIBED"}
				}
				b.expect(want...)
			})
		})
	}
}

func TestCallsFailWithoutASubscription(t *testing.T) {
	c := mesos.New(mesos.Config{Masters: []string{"m1:1"}})
	if err := c.Call(t.Context(), 1, calls.Revive()); !errors.Is(err, mesos.ErrDisconnected) {
		t.Errorf("Call returned %v, want %v", err, mesos.ErrDisconnected)
	}
}

// TestRecordedStreams feeds every recorded subscription to a client. The client must pass
// on every event and, after an ERROR, end.
func TestRecordedStreams(t *testing.T) {
	for _, r := range mesostest.Recordings(t) {
		for i := range r.Exchanges {
			e := &r.Exchanges[i]
			if !e.Streamed() || bytes.HasPrefix(e.Response.Body, []byte("(left out")) {
				continue
			}
			t.Run(r.Name+"/"+e.Name, func(t *testing.T) { playStream(t, e) })
		}
	}
}

func playStream(t *testing.T, e *mesostest.Exchange) {
	var want []string
	form := wire.JSON
	if e.Header.Get("Accept") == wire.Protobuf.MediaType() {
		form = wire.Protobuf
	}
	records := wire.NewReader(bytes.NewReader(e.Response.Body), wire.MaxRecord)
	fatal := false
	for body, err := records.Next(); err == nil; body, err = records.Next() {
		var event scheduler.Event
		if _, err := form.Decode(body, &event); err != nil {
			t.Fatal(err)
		}
		if fatal = event.Type == scheduler.Event_ERROR; !fatal {
			want = append(want, event.Type.String())
		}
	}
	first := true
	run(t, mesos.Config{}, func(w http.ResponseWriter, r *http.Request, _ *scheduler.Call) {
		if first {
			for _, name := range []string{"Mesos-Stream-Id", "Content-Type"} {
				w.Header().Set(name, e.Response.Header.Get(name))
			}
			w.Write(e.Response.Body)
			http.NewResponseController(w).Flush()
		}
		first = false
		<-r.Context().Done()
	}, func(b *bed) {
		if fatal {
			if err := <-b.ended; err == nil {
				t.Error("Run returned nil after an ERROR event, want an error")
			}
			if len(want) > 0 {
				want = append(want, "DISCONNECTED")
			}
		}
		b.expect(want...)
	})
}
