package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"tombolo/framework/app"
)

const maxBody = 4 << 20 // bytes of an App

// Config is what a handler needs.
type Config struct {
	Cluster Cluster
	Logs    Logs
	Volumes Volumes
	// VolumeTable serves the paths below /v1/volumes.
	VolumeTable VolumeTable
	Log         *slog.Logger // nil: slog.Default()
}

type server struct{ config Config }

// NewHandler returns a handler of the API that the package comment describes. It starts
// nothing that outlives a request.
func NewHandler(config Config) http.Handler {
	config.Log = cmp.Or(config.Log, slog.Default())
	s := &server{config}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/apps/{name}", s.answer(s.put))
	mux.HandleFunc("DELETE /v1/apps/{name}", s.answer(s.delete))
	mux.HandleFunc("POST /v1/apps/{name}/recreate-volumes", s.answer(s.recreateVolumes))
	mux.HandleFunc("GET /v1/apps", s.answer(s.apps))
	mux.HandleFunc("GET /v1/apps/{name}", s.answer(s.show(func(a App) any { return a.Status })))
	mux.HandleFunc("GET /v1/apps/{name}/spec", s.answer(s.show(func(a App) any { return a.Spec })))
	mux.HandleFunc("GET /v1/apps/{name}/events", s.answer(s.events))
	mux.HandleFunc("GET /v1/apps/{name}/logs", s.answer(s.logs))
	mux.HandleFunc("GET /v1/volumes", s.answer(s.volumes))
	mux.HandleFunc("DELETE /v1/volumes/{name}", s.answer(s.change(VolumeTable.RemoveVolume)))
	mux.HandleFunc("POST /v1/volumes/{name}/unpin", s.answer(s.change(VolumeTable.UnpinVolume)))
	mux.HandleFunc("GET /v1/info", s.answer(s.info))
	mux.HandleFunc("/", s.answer(s.unknown))
	return mux
}

// answer makes an HTTP handler of h. It turns an error of h into a status and an Error.
func (s *server) answer(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil || r.Context().Err() != nil {
			return
		}
		code := statusOf(err)
		s.config.Log.Debug("API call refused", "method", r.Method, "path", r.URL.Path, "code", code, "err", err)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(Error{Message: err.Error()}) // the caller may be gone
	}
}

func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	for _, kind := range []error{ErrNotFound, ErrConflict, ErrInvalid, ErrUnavailable} { // in this order
		if errors.Is(err, kind) {
			return statuses[kind]
		}
	}
	return http.StatusInternalServerError
}

func (s *server) put(w http.ResponseWriter, r *http.Request) error {
	wanted, err := decodeApp(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return err
	}
	if name := r.PathValue("name"); wanted.Name != name {
		return fmt.Errorf("%w: the app is named %q, its path %q", ErrInvalid, wanted.Name, name)
	}
	number, err := s.config.Cluster.PutApp(r.Context(), wanted)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, revision{number})
}

// decodeApp reads exactly one App. Unknown fields are errors.
func decodeApp(body io.Reader) (app.App, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return app.App{}, fmt.Errorf("read app: %w", err)
	}
	var wanted app.App
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wanted); err != nil {
		return app.App{}, fmt.Errorf("%w: decode app: %w", ErrInvalid, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return app.App{}, fmt.Errorf("%w: decode app: more than one JSON value", ErrInvalid)
	}
	return wanted, nil
}

func (s *server) delete(w http.ResponseWriter, r *http.Request) error {
	volumes, err := parameter(r, "volumes", strconv.ParseBool, "a boolean")
	if err != nil {
		return err
	}
	if err := s.config.Cluster.DeleteApp(r.Context(), r.PathValue("name"), volumes); err != nil {
		return err
	}
	return reply(w, http.StatusAccepted, struct{}{})
}

func (s *server) recreateVolumes(w http.ResponseWriter, r *http.Request) error {
	if err := s.config.Volumes.RecreateVolumes(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	return reply(w, http.StatusAccepted, struct{}{})
}

// loadWait is how long a request waits for a framework that still loads its store.
const loadWait = 10 * time.Second

// state returns the present state and a channel that the next change closes. It waits until
// the framework has loaded its store: before that, nobody knows which apps there are.
func (s *server) state(ctx context.Context) (*Snapshot, <-chan struct{}, error) {
	for late := time.After(loadWait); ; {
		state, changed := s.config.Cluster.Snapshot()
		if state != nil {
			return state, changed, nil
		}
		select {
		case <-changed:
		case <-late:
			return nil, nil, fmt.Errorf("%w: the framework still loads its store; try again", ErrUnavailable)
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (s *server) apps(w http.ResponseWriter, r *http.Request) error {
	state, _, err := s.state(r.Context())
	if err != nil {
		return err
	}
	list := []Status{} // in JSON a list, never null
	for _, a := range state.Apps.All() {
		list = append(list, a.Status)
	}
	return reply(w, http.StatusOK, list)
}

// show returns a handler that responds with what pick returns of the request's app.
func (s *server) show(pick func(App) any) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		state, _, err := s.state(r.Context())
		if err != nil {
			return err
		}
		a, ok := state.Apps.Get(r.PathValue("name"))
		if !ok {
			return notFound(r)
		}
		return reply(w, http.StatusOK, pick(a))
	}
}

func (s *server) info(w http.ResponseWriter, r *http.Request) error {
	state, _, err := s.state(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, state.Info)
}

func (s *server) unknown(_ http.ResponseWriter, r *http.Request) error {
	return fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, ErrNotFound)
}

// parameter returns a parameter of the query, or the zero value if it is missing. what
// names its kind in the error.
func parameter[T any](r *http.Request, key string, parse func(string) (T, error), what string) (value T, err error) {
	if text := r.URL.Query().Get(key); text != "" {
		if value, err = parse(text); err != nil {
			err = fmt.Errorf("%w: %s=%q is not %s", ErrInvalid, key, text, what)
		}
	}
	return value, err
}

func notFound(r *http.Request) error {
	return fmt.Errorf("app %q: %w", r.PathValue("name"), ErrNotFound)
}

func reply(w http.ResponseWriter, code int, body any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the caller may be gone
	return nil
}

const pingWait = 15 * time.Second // between comments on a quiet event stream

// events sends the app's Status as server-sent events: "status" at once and after each
// change, "gone" when the app has ended.
func (s *server) events(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	state, changed, err := s.state(r.Context())
	if err != nil {
		return err
	}
	shown, ok := state.Apps.Get(name)
	if !ok {
		return notFound(r)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	ping := time.NewTicker(pingWait)
	defer ping.Stop()
	for fresh := true; ; {
		if fresh && !event(w, "status", shown.Status) {
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
			next, ok := state.Apps.Get(name)
			if !ok {
				event(w, "gone", struct{}{})
				return nil
			}
			fresh = !reflect.DeepEqual(next.Status, shown.Status)
			shown = next
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
	state, _, err := s.state(r.Context())
	if err != nil {
		return err
	}
	if _, ok := state.Apps.Get(name); !ok {
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
