package api

import (
	"encoding/json"
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
	values := r.URL.Query()
	query := LogQuery{Service: values.Get("service")}
	var err error
	number := func(key string) (n int) {
		if text := values.Get(key); text != "" && err == nil {
			if n, err = strconv.Atoi(text); err != nil {
				err = fmt.Errorf("%w: %s=%q is not a number", ErrInvalid, key, text)
			}
		}
		return n
	}
	query.Slot, query.Tail = number("slot"), number("tail")
	if text := values.Get("follow"); text != "" && err == nil {
		if query.Follow, err = strconv.ParseBool(text); err != nil {
			err = fmt.Errorf("%w: follow=%q is not a boolean", ErrInvalid, text)
		}
	}
	return query, err
}
