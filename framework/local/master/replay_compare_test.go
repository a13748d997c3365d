package master

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/mesostest"
)

// ids maps recorded IDs to ours.
type ids map[string]string

// ours replaces the recorded IDs in text by ours.
func (m ids) ours(text string) string {
	return m.replacer(func(recorded, ours string) (string, string) { return recorded, ours }).Replace(text)
}

// recorded replaces our IDs in text by the recorded ones.
func (m ids) recorded(text string) string {
	return m.replacer(func(recorded, ours string) (string, string) { return ours, recorded }).Replace(text)
}

// replacer replaces longer IDs first, because O10 begins with O1.
func (m ids) replacer(order func(recorded, ours string) (string, string)) *strings.Replacer {
	var pairs [][2]string
	for k, v := range m {
		if k != "" && v != "" {
			from, to := order(k, v)
			pairs = append(pairs, [2]string{from, to})
		}
	}
	sort.Slice(pairs, func(i, j int) bool { return len(pairs[i][0]) > len(pairs[j][0]) })
	var flat []string
	for _, p := range pairs {
		flat = append(flat, p[0], p[1])
	}
	return strings.NewReplacer(flat...)
}

func (m ids) hasOurs(ours string) bool {
	for _, v := range m {
		if v == ours {
			return true
		}
	}
	return false
}

// replayedStream is a subscription to our master.
type replayedStream struct {
	exchange *mesostest.Exchange
	cancel   func()
	done     chan struct{}

	mu     sync.Mutex
	body   []byte
	ended  bool // the master ended the stream
	closed bool // the test closed it
}

func (s *replayedStream) read(response *http.Response) {
	defer close(s.done)
	buffer := make([]byte, 1<<16)
	for {
		n, err := response.Body.Read(buffer)
		s.mu.Lock()
		s.body = append(s.body, buffer[:n]...)
		s.ended = s.ended || err == io.EOF && !s.closed
		s.mu.Unlock()
		if err != nil {
			response.Body.Close()
			return
		}
	}
}

// close ends the subscription. Closing a nil stream does nothing.
func (s *replayedStream) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	<-s.done
}

func (s *replayedStream) events() []scheduler.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events, _ := decodeEvents(s.body)
	return events
}

func (r *replay) fault(key, text string) {
	r.faults[key] = append(r.faults[key], text)
}

func (r *replay) compareAnswer(e *mesostest.Exchange, got *http.Response) {
	body, err := io.ReadAll(io.LimitReader(got.Body, 10_000))
	if err != nil && got.Header.Get("Mesos-Stream-Id") == "" {
		r.t.Fatal(err)
	}
	got.Body.Close()
	want := e.Response
	if got.StatusCode != want.Status {
		r.answers[e.Name] = strconv.Itoa(got.StatusCode)
		r.fault(e.Name, fmt.Sprintf("status %d, recorded %d", got.StatusCode, want.Status))
	}
	if text := r.ids.recorded(string(body)); want.Status/100 != 2 && text != string(want.Body) {
		r.fault(e.Name, fmt.Sprintf("body %q, recorded %q", text, want.Body))
	}
	for _, key := range []string{"Content-Type", "Allow", "Www-Authenticate", "Location"} {
		if got.Header.Get(key) != want.Header.Get(key) {
			r.fault(e.Name, fmt.Sprintf("%s %q, recorded %q", key, got.Header.Get(key), want.Header.Get(key)))
		}
	}
}

// compareStream compares the events of a stream lane by lane. Mesos promises an order for
// the updates of one task, but none between tasks.
func (r *replay) compareStream(s *replayedStream) {
	e := s.exchange
	if e.Header.Get("Accept") == protobufType {
		return // the same stream in JSON is compared, and TestProtobufStream tests protobuf
	}
	want, got := r.lanes(recordedEvents(r.t, e)), r.lanes(s.events())
	want["(end)"], got["(end)"] = []string{"open"}, []string{"open"}
	if r.endsInRecording(e.Name) {
		want["(end)"] = []string{"ended"}
	}
	if s.mu.Lock(); s.ended {
		got["(end)"] = []string{"ended"}
	}
	s.mu.Unlock()
	for lane := range union(want, got) {
		r.compared++
		if !slices.Equal(want[lane], got[lane]) {
			i := 0
			for i < min(len(want[lane]), len(got[lane])) && want[lane][i] == got[lane][i] {
				i++
			}
			r.fault(e.Name+"#"+lane, fmt.Sprintf("from event %d\n  recorded %s\n  ours     %s", i,
				strings.Join(want[lane][i:], "\n           "), strings.Join(got[lane][i:], "\n           ")))
		}
	}
}

func union(a, b map[string][]string) map[string][]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// endsInRecording reports whether the recorded master ended a stream.
func (r *replay) endsInRecording(name string) bool {
	e := r.recording.Exchange(name)
	for _, event := range recordedEvents(r.t, e) {
		if event.Type == scheduler.Event_ERROR {
			return true
		}
	}
	return slices.ContainsFunc(r.recording.Timeline, func(s mesostest.Step) bool { return s.Exchange == name && s.Ends })
}

// lanes describes events with the recorded IDs: by task ID, or by kind in parentheses. It
// leaves out heartbeats, and updates that repeat an earlier one.
func (r *replay) lanes(events []scheduler.Event) map[string][]string {
	lanes, seen := map[string][]string{}, map[string]bool{}
	for _, event := range events {
		lane, text := "(stream)", event.Type.String()
		switch event.Type {
		case scheduler.Event_HEARTBEAT:
			continue
		case scheduler.Event_OFFERS:
			lane, text = "(offers)", describeOffers(event.Offers.Offers)
		case scheduler.Event_UPDATE:
			status := event.Update.Status
			if seen[string(status.UUID)] && len(status.UUID) > 0 {
				continue
			}
			seen[string(status.UUID)] = true
			lane = status.TaskID.Value
			reason := "-"
			if status.Reason != nil {
				reason = status.Reason.String()
			}
			text = fmt.Sprintf("%s %s %s uuid=%t agent=%s address=%t unreachable=%t %s", status.GetState(), status.GetSource(),
				reason, len(status.UUID) > 0, status.GetAgentID().GetValue(), status.ContainerStatus != nil,
				status.UnreachableTime != nil, status.GetMessage())
		case scheduler.Event_ERROR:
			text += " " + event.Error.Message
		case scheduler.Event_RESCIND:
			lane = "(rescind)"
		case scheduler.Event_FAILURE:
			text += " " + event.Failure.GetAgentID().GetValue()
		case scheduler.Event_SUBSCRIBED:
			text += fmt.Sprintf(" %s every %v by %s", event.Subscribed.FrameworkID.GetValue(), event.Subscribed.GetHeartbeatIntervalSeconds(),
				event.Subscribed.MasterInfo.GetVersion())
		}
		lanes[lane] = append(lanes[lane], r.ids.recorded(text))
	}
	return lanes
}

// differences returns what differs, by the keys of deviations.txt.
func (r *replay) differences(folder string) map[string]difference {
	found := map[string]difference{}
	for name, faults := range r.faults {
		found[folder+"/"+name] = difference{answer: r.answers[name], text: strings.Join(faults, "; ")}
	}
	return found
}

func describeOffers(offers []lib.Offer) string {
	var texts []string
	for _, o := range offers {
		slices.SortFunc(o.Resources, func(x, y lib.Resource) int { return strings.Compare(x.Name, y.Name) })
		texts = append(texts, fmt.Sprintf("%s of %s at %s%s, role %s: %s", o.AgentID.Value, o.Hostname,
			o.URL.Address.GetIP(), o.URL.GetPath(), o.AllocationInfo.GetRole(), describe(o.Resources)))
	}
	return strings.Join(texts, ", ")
}
