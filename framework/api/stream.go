package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"
)

const pingWait = 15 * time.Second // between comments on a quiet event stream

// events sends the app's Status as server-sent events: "status" at once and after each
// change, "gone" when the app has ended.
func (s *server) events(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	state, changed := s.config.Cluster.Snapshot()
	status, ok := state.Apps[name]
	if !ok {
		return notFound(r)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	ping := time.NewTicker(pingWait)
	defer ping.Stop()
	for fresh := true; ; {
		if fresh && !event(w, "status", status) {
			return nil
		}
		fresh = false
		select {
		case <-r.Context().Done():
			return nil
		case <-ping.C:
			if !write(w, []byte(": quiet\n\n")) {
				return nil
			}
		case <-changed:
			state, changed = s.config.Cluster.Snapshot()
			next, ok := state.Apps[name]
			if !ok {
				event(w, "gone", struct{}{})
				return nil
			}
			fresh = !reflect.DeepEqual(next, status)
			status = next
		}
	}
}

func event(w http.ResponseWriter, name string, body any) bool {
	raw, err := json.Marshal(body)
	if err != nil {
		return false
	}
	return write(w, fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, raw))
}

func write(w http.ResponseWriter, raw []byte) bool {
	if _, err := w.Write(raw); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

func (s *server) logs(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	if state, _ := s.config.Cluster.Snapshot(); state.Apps[name].App == "" {
		return notFound(r)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	sent := false
	err = s.config.Logs.Logs(r.Context(), name, query, func(line LogLine) error {
		raw, err := json.Marshal(line)
		if err != nil {
			return err
		}
		sent = true
		if !write(w, append(raw, '\n')) {
			return r.Context().Err()
		}
		return nil
	})
	if err != nil && sent {
		// The status is sent already, so the error goes into the stream.
		raw, _ := json.Marshal(Error{Message: err.Error()})
		write(w, append(raw, '\n'))
		return nil
	}
	return err
}

func parseQuery(r *http.Request) (LogQuery, error) {
	slot, slotErr := parameter(r, "slot", strconv.Atoi, "a number")
	tail, tailErr := parameter(r, "tail", strconv.Atoi, "a number")
	follow, followErr := parameter(r, "follow", strconv.ParseBool, "a boolean")
	query := LogQuery{Service: r.URL.Query().Get("service"), Slot: slot, Tail: tail, Follow: follow}
	return query, errors.Join(slotErr, tailErr, followErr)
}
