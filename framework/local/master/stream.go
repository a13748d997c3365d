package master

import (
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/wire"
	"tombolo/internal/wake"
)

// maxQueued is how many events a scheduler may leave unread before the master ends its
// stream. A busy cluster needs minutes for that many; they take a few megabytes.
const maxQueued = 10_000

// writeTimeout is how long a write to a scheduler may block before the master ends its
// stream.
const writeTimeout = 30 * time.Second

// stream is one subscription: the loop queues events, and an HTTP handler writes them.
type stream struct {
	id       string
	protobuf bool
	events   *wake.Queue[[]byte] // encoded records

	once  sync.Once
	ended chan struct{} // closed by end
}

func newStream(protobuf bool) *stream {
	return &stream{
		id: uuid.NewString(), protobuf: protobuf,
		events: wake.NewQueue[[]byte](), ended: make(chan struct{}),
	}
}

// send queues an event. It ends the stream of a scheduler that is too far behind.
func (s *stream) send(event *scheduler.Event) {
	body, err := s.encode(event)
	if err != nil { // a programmer's error: every event that the master makes can be encoded
		panic(err)
	}
	if s.events.Put(wire.AppendRecord(nil, body)) > maxQueued {
		s.end()
	}
}

func (s *stream) encode(event *scheduler.Event) ([]byte, error) {
	if s.protobuf {
		return event.Marshal()
	}
	return wire.Marshal(event)
}

// end makes serve write the queued events and return.
func (s *stream) end() { s.once.Do(func() { close(s.ended) }) }

// serve writes events until the stream ends or the scheduler disconnects. As in Apache
// Mesos the connection stays open after the end.
func (s *stream) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Mesos-Stream-Id", s.id)
	w.Header().Set("Content-Type", jsonType)
	if s.protobuf {
		w.Header().Set("Content-Type", protobufType)
	}
	w.WriteHeader(http.StatusOK)
	for ended := false; !ended; {
		select {
		case <-r.Context().Done():
			return
		case <-s.ended:
			ended = true
		case <-s.events.Ready():
		}
		if s.write(w) != nil {
			return
		}
	}
}

// write writes the queued events and flushes, so that the headers go out at once too.
func (s *stream) write(w http.ResponseWriter) error {
	connection := http.NewResponseController(w)
	if err := connection.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	for _, record := range s.events.Take() {
		if _, err := w.Write(record); err != nil {
			return err
		}
	}
	if err := connection.Flush(); err != nil {
		return err
	}
	return connection.SetWriteDeadline(time.Time{})
}
