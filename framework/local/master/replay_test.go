package master

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/mesostest"
	"tombolo/framework/mesos/wire"
)

// TestReplay sends every recorded request to our master, at its recorded time on a fake
// clock. A scripted agent reports what the recorded agent did. The test compares the
// statuses, the bodies of errors and the sequences of events with those of Apache Mesos.
// testdata/deviations.txt lists what differs or is not sent, with reasons. A difference
// without a line fails, and so does a line without a difference.
func TestReplay(t *testing.T) {
	listed := readDeviations(t)
	for _, recording := range mesostest.Recordings(t) {
		t.Run(recording.Name, func(t *testing.T) {
			folder, _, _ := strings.Cut(recording.Name, "-")
			dir := t.TempDir()
			var r *replay
			synctest.Test(t, func(t *testing.T) {
				r = newReplay(t, &recording, sceneOf(folder, dir))
				r.run()
			})
			listed.check(t, r.differences(folder))
			t.Logf("%d of %d comparisons match", r.compared-len(r.faults), r.compared)
		})
	}
	listed.checkUsed(t)
}

// recordedAgentPort is the end of the recorded agent's address.
const recordedAgentPort = ":5051"

// replay plays one recording.
type replay struct {
	t         *testing.T
	recording *mesostest.Recording
	scene     scene
	ids       ids
	agent     *recordedAgent
	streams   map[string]*replayedStream // by exchange
	faults    map[string][]string        // by exchange, or exchange#lane of its stream
	answers   map[string]string          // by exchange: our status if it differs, or "unsent"
	compared  int
	now       time.Duration        // since the recording began
	offered   map[string]lib.Offer // by ID: see recordedOffers

	master *Master
	server *mesostest.Server
	cancel func()
}

func newReplay(t *testing.T, recording *mesostest.Recording, s scene) *replay {
	return &replay{
		t: t, recording: recording, scene: s, ids: ids{}, streams: map[string]*replayedStream{},
		faults: map[string][]string{}, answers: map[string]string{},
	}
}

func (r *replay) start() {
	m, err := New(r.scene.config, quiet)
	if err != nil {
		r.t.Fatal(err)
	}
	m.offers.batch = &timer{} // a batch that never comes: see allocations
	r.master, r.server = m, mesostest.Serve(m.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { _ = m.Run(ctx) }() // it always returns nil
	if r.agent != nil {
		r.agent.m = m
	}
}

func (r *replay) stop() {
	r.server.Close() // before the master: one that is killed ends no stream
	r.cancel()
	synctest.Wait()
}

// run plays the recording.
func (r *replay) run() {
	r.start()
	defer func() { r.stop() }()
	r.agent = newRecordedAgent(r.master, r.ids)
	for _, o := range r.recordedOffers() {
		r.agent.names = append(r.agent.names, o.AgentID.Value)
	}
	if r.scene.resources != nil {
		r.agent.info.Resources = r.scene.resources
	}
	if !r.scene.alone {
		r.agent.back()
		r.agent.settle()
	}
	for _, step := range r.plan() {
		time.Sleep(max(0, step.at-r.now))
		r.now = max(r.now, step.at)
		step.do(r)
		r.agent.settle()
	}
	time.Sleep(500 * time.Millisecond)
	synctest.Wait()
	for _, s := range r.streams {
		r.compareStream(s)
		s.close()
	}
}

// plan returns the steps in the order of their times: the requests, the ends of streams,
// the reports of the agent, the allocations, and the steps of the scene.
func (r *replay) plan() []sceneStep {
	steps := slices.Clone(r.scene.steps)
	at, last := r.times(), time.Duration(0)
	reported := map[string]bool{}
	for i := range r.recording.Exchanges {
		e := &r.recording.Exchanges[i]
		end, known := at[e.Name]
		if !known {
			end = last
		}
		start := end
		if e.Streamed() && len(e.Times) == 0 {
			start = last // at[e.Name] is the time of its end
		}
		last = end
		steps = append(steps, sceneStep{start, func(r *replay) { r.send(e) }})
		if start != end {
			steps = append(steps, sceneStep{end, func(r *replay) { r.streams[e.Name].close() }})
		}
		steps = append(steps, r.reports(e, reported)...)
		steps = append(steps, r.allocations(e)...)
	}
	for _, s := range r.recording.Timeline {
		if s.Closed {
			steps = append(steps, sceneStep{s.At, func(r *replay) { r.streams[s.Exchange].close() }})
		}
	}
	slices.SortStableFunc(steps, func(x, y sceneStep) int { return int(x.at - y.at) })
	return steps
}

// times returns when each request was answered.
func (r *replay) times() map[string]time.Duration {
	at := map[string]time.Duration{}
	for _, s := range r.recording.Timeline {
		if s.Status != 0 {
			at[s.Exchange] = s.At
		}
	}
	return at
}

// reports returns the updates of the agent that were sent on a stream, each at the time
// when it was first sent.
func (r *replay) reports(e *mesostest.Exchange, reported map[string]bool) []sceneStep {
	var steps []sceneStep
	for i, event := range recordedEvents(r.t, e) {
		if event.Update == nil || len(event.Update.Status.UUID) == 0 || reported[string(event.Update.Status.UUID)] {
			continue
		}
		reported[string(event.Update.Status.UUID)] = true
		status := event.Update.Status
		framework := frameworkIDOf(r.t, e)
		if i < len(e.Times) {
			steps = append(steps, sceneStep{e.Times[i], func(r *replay) { r.agent.report(framework, status) }})
		}
	}
	return steps
}

// allocations returns steps in which our master makes offers, at the times when the
// recorded one did. Otherwise its offers would combine other resources.
func (r *replay) allocations(e *mesostest.Exchange) []sceneStep {
	var steps []sceneStep
	for i, event := range recordedEvents(r.t, e) {
		if event.Offers != nil && i < len(e.Times) {
			steps = append(steps, sceneStep{e.Times[i], func(r *replay) {
				r.master.loop.post(r.master.offers.allocateAll)
				synctest.Wait()
			}})
		}
	}
	return steps
}

func frameworkIDOf(t *testing.T, e *mesostest.Exchange) string {
	for _, event := range recordedEvents(t, e) {
		if event.Subscribed != nil {
			return event.Subscribed.FrameworkID.Value
		}
	}
	return ""
}

// parsed caches the results of recordedEvents.
var parsed = map[*mesostest.Exchange][]scheduler.Event{}

// recordedEvents returns the events of a recorded stream in JSON.
func recordedEvents(t *testing.T, e *mesostest.Exchange) []scheduler.Event {
	t.Helper()
	if events, ok := parsed[e]; ok {
		return events
	}
	if !e.Streamed() || e.Header.Get("Accept") == protobufType {
		return nil
	}
	events, err := decodeEvents(e.Response.Body)
	if err != nil {
		t.Fatalf("%s: %v", e.Name, err)
	}
	parsed[e] = events
	return events
}

func decodeEvents(stream []byte) ([]scheduler.Event, error) {
	var events []scheduler.Event
	reader := wire.NewReader(bytes.NewReader(stream), wire.MaxRecord)
	for {
		record, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		var event scheduler.Event
		if err := wire.Unmarshal(record, &event); err != nil {
			return nil, err
		}
		events = append(events, event)
	}
}

// send sends one request. It leaves out those to agents, because ours serve no HTTP.
func (r *replay) send(e *mesostest.Exchange) {
	if strings.HasSuffix(e.Header.Get("Host"), recordedAgentPort) {
		r.compared++
		r.answers[e.Name] = "unsent"
		r.fault(e.Name, "not sent, because it is for "+e.Header.Get("Host"))
		return
	}
	r.bindOffers(e)
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, e.Method, "http://master"+e.Path, strings.NewReader(r.ids.ours(string(e.Body))))
	if err != nil {
		r.t.Fatal(err)
	}
	for key, values := range e.Header {
		if key != "Content-Length" && key != "Connection" && key != "Host" {
			request.Header.Set(key, r.ids.ours(values[0]))
		}
	}
	client := *r.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		r.t.Fatalf("%s: %v", e.Name, err)
	}
	r.compared++
	streamed := response.Header.Get("Mesos-Stream-Id") != ""
	if !streamed || !e.Streamed() {
		r.compareAnswer(e, response)
		cancel()
		return
	}
	r.ids[e.Response.Header.Get("Mesos-Stream-Id")] = response.Header.Get("Mesos-Stream-Id")
	s := &replayedStream{exchange: e, cancel: cancel, done: make(chan struct{})}
	r.streams[e.Name] = s
	go s.read(response)
	synctest.Wait()
	r.bindFramework(s)
}

// bindFramework maps the recorded framework ID of a stream to ours.
func (r *replay) bindFramework(s *replayedStream) {
	for _, event := range s.events() {
		if event.Subscribed != nil {
			r.ids[frameworkIDOf(r.t, s.exchange)] = event.Subscribed.FrameworkID.Value
			return
		}
	}
}

// bindOffers maps the recorded offer IDs in a request to those of offers of ours to the
// same framework. It leaves out offers that were not valid in the recording either.
func (r *replay) bindOffers(e *mesostest.Exchange) {
	var call scheduler.Call
	if wire.Unmarshal(e.Body, &call) != nil || call.FrameworkID == nil {
		return
	}
	var used []lib.OfferID
	used = append(used, call.GetAccept().GetOfferIDs()...)
	used = append(used, call.GetDecline().GetOfferIDs()...)
	recorded := r.recordedOffers()
	for _, id := range used {
		o, offered := recorded[id.Value]
		if r.ids[id.Value] != "" || !offered || r.rescinded(id.Value) {
			continue
		}
		if r.ids[id.Value] = r.unbound(o); r.ids[id.Value] == "" {
			r.fault(e.Name, "our master has no offer for the recorded "+id.Value)
		}
	}
}

// rescinded reports whether the recorded offer was rescinded before now.
func (r *replay) rescinded(id string) bool {
	for i := range r.recording.Exchanges {
		e := &r.recording.Exchanges[i]
		for k, event := range recordedEvents(r.t, e) {
			if event.Rescind != nil && event.Rescind.OfferID.Value == id && k < len(e.Times) && e.Times[k] < r.now {
				return true
			}
		}
	}
	return false
}

// recordedOffers returns all offers of the recording by their ID.
func (r *replay) recordedOffers() map[string]lib.Offer {
	if r.offered == nil {
		r.offered = map[string]lib.Offer{}
		for i := range r.recording.Exchanges {
			for _, event := range recordedEvents(r.t, &r.recording.Exchanges[i]) {
				for _, o := range event.GetOffers().GetOffers() {
					r.offered[o.ID.Value] = o
				}
			}
		}
	}
	return r.offered
}

// unbound returns the ID of an offer of ours that no recorded offer is mapped to: the
// newest, or one with the same resources. It is empty if there is none.
func (r *replay) unbound(recorded lib.Offer) string {
	synctest.Wait()
	found, err := ask(context.Background(), r.master.loop, func() string {
		best := ""
		for _, o := range r.master.offers.where(func(o *offer) bool { return o.framework.id == r.ids[recorded.FrameworkID.Value] }) {
			if r.ids.hasOurs(o.id) {
				continue
			}
			best = o.id
			if describe(o.resources) == describe(recorded.Resources) {
				break
			}
		}
		return best
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}
