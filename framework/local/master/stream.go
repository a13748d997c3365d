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

// maxQueued is how many events a scheduler may leave unread before it is taken
// for dead: minutes of a busy cluster, a few megabytes.
const maxQueued = 10_000

// writeTimeout is how long a scheduler may leave its connection full.
const writeTimeout = 30 * time.Second

// stream is one subscription: the master puts events in, an HTTP handler writes
// them out.
type stream struct {
	id       string
	protobuf bool
	events   *wake.Queue[[]byte]

	once  sync.Once
	ended chan struct{} // closed: write what is queued, then end the response
}

func newStream(protobuf bool) *stream {
	return &stream{
		id: uuid.NewString(), protobuf: protobuf,
		events: wake.NewQueue[[]byte](), ended: make(chan struct{}),
	}
}

// send queues an event; a reader that is too far behind is cut off.
func (s *stream) send(event *scheduler.Event) {
	body, err := s.encode(event)
	if err != nil { // an event of ours that cannot be written is a programmer's error
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

// end ends the response after what is queued.
func (s *stream) end() { s.once.Do(func() { close(s.ended) }) }

// serve writes events until the stream ends or the scheduler is gone. The
// connection stays open after the end, as a real master leaves it.
func (s *stream) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Mesos-Stream-Id", s.id)
	w.Header().Set("Content-Type", jsonType)
	if s.protobuf {
		w.Header().Set("Content-Type", protobufType)
	}
	w.WriteHeader(http.StatusOK)
	connection := http.NewResponseController(w)
	for ended := false; !ended; {
		select {
		case <-r.Context().Done():
			return
		case <-s.ended:
			ended = true
		case <-s.events.Ready():
		}
		if connection.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
			return
		}
		for _, record := range s.events.Take() {
			if _, err := w.Write(record); err != nil {
				return
			}
		}
		if connection.Flush() != nil {
			return
		}
		if connection.SetWriteDeadline(time.Time{}) != nil {
			return
		}
	}
}
