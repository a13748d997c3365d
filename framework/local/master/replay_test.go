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

	"tombolo/framework/local/localtest"
	"tombolo/framework/mesos/mesostest"
	"tombolo/framework/mesos/wire"
)

// TestReplay sends every recorded request to our master at its recorded time (of
// a fake clock), lets a scripted agent report what the recorded one did, and
// compares statuses, error bodies and event sequences with the real master's.
// testdata/deviations.txt lists, with reasons, what differs or is not sent; a
// difference that is not listed fails, and so does a line that none needs.
func TestReplay(t *testing.T) {
	listed := localtest.Read(t)
	for _, recording := range mesostest.Recordings(t) {
		t.Run(recording.Name, func(t *testing.T) {
			folder, _, _ := strings.Cut(recording.Name, "-")
			dir := t.TempDir()
			var r *replay
			synctest.Test(t, func(t *testing.T) {
				r = newReplay(t, &recording, sceneOf(folder, dir))
				r.run()
			})
			listed.Check(t, r.differences(folder))
			t.Logf("%d of %d comparisons match", r.compared-len(r.faults), r.compared)
		})
	}
	listed.CheckUsed(t)
}

// recordedAgentPort ends the address of the recorded agent.
const recordedAgentPort = ":5051"

// replay is one recording being played.
type replay struct {
	t         *testing.T
	recording *mesostest.Recording
	scene     scene
	ids       ids
	agent     *recordedAgent
	streams   map[string]*replayedStream
	faults    map[string][]string // by exchange or exchange#lane
	answers   map[string]string   // by exchange: our status where it is another, or "unsent"
	compared  int
	now       time.Duration        // since the recording began
	offered   map[string]lib.Offer // the recorded ones, once read

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
	go func() { _ = m.Run(ctx) }() // it ends with ctx, and well
	if r.agent != nil {
		r.agent.m = m
	}
}

func (r *replay) stop() {
	r.server.Close() // first: a master that is killed ends no stream
	r.cancel()
	synctest.Wait()
}

// run plays everything in the order of its time.
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

// plan lists what to do when: the requests, the ends of streams, what the
// recorded agent reported, and what was done outside.
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
			start = last // the timeline has the time of its end
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

func (r *replay) times() map[string]time.Duration {
	at := map[string]time.Duration{}
	for _, s := range r.recording.Timeline {
		if s.Status != 0 {
			at[s.Exchange] = s.At
		}
	}
	return at
}

// reports are the updates that came from the agent, each when it was first heard.
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

// allocations make our master's allocator tick when the recorded one did: how
// returned resources are cut into offers depends on that.
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

// parsed keeps what recordedEvents found: it is asked for again and again.
var parsed = map[*mesostest.Exchange][]scheduler.Event{}

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

// send plays one request. Agents serve no HTTP: theirs are not sent.
func (r *replay) send(e *mesostest.Exchange) {
	if strings.HasSuffix(e.Header.Get("Host"), recordedAgentPort) {
		r.compared++
		r.answers[e.Name] = "unsent"
		r.fault(e.Name, "not sent, it is for "+e.Header.Get("Host"))
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

func (r *replay) bindFramework(s *replayedStream) {
	for _, event := range s.events() {
		if event.Subscribed != nil {
			r.ids[frameworkIDOf(r.t, s.exchange)] = event.Subscribed.FrameworkID.Value
			return
		}
	}
}

// bindOffers makes the recorded offers that a request uses stand for offers that
// our master has out to that framework, as long as they were good in the
// recording.
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
		if r.ids[id.Value] = r.outstanding(o); r.ids[id.Value] == "" {
			r.fault(e.Name, "no offer stands for "+id.Value)
		}
	}
}

// rescinded says whether the recorded offer was taken back by now.
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

// recordedOffers returns all offers of the recording by id.
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

// outstanding returns an offer of ours that stands for no recorded one yet: the
// one with the same resources, or the newest.
func (r *replay) outstanding(recorded lib.Offer) string {
	synctest.Wait()
	found, err := ask(context.Background(), r.master.loop, func() string {
		best := ""
		for _, o := range r.master.offers.where(func(o *offer) bool { return o.framework.id == r.ids[recorded.FrameworkID.Value] }) {
			if r.ids.stands(o.id) {
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
