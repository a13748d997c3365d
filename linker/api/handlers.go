package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tombolo/linker/record"
)

// methods are the handlers of one resource.
type methods map[string]func(http.ResponseWriter, *http.Request) error

// ServeHTTP implements http.Handler. A handler that returns an error has written
// nothing yet.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handle, ok := m[r.Method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(m)), ", "))
		reply(w, http.StatusMethodNotAllowed, Error{fmt.Sprintf("%s is not possible on %s", r.Method, r.URL.Path)})
		return
	}
	if err := handle(w, r); err != nil {
		refuse(w, err)
	}
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	status, err := s.cfg.Host.Status(r.Context())
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, status)
	return nil
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request) error {
	q, err := parameters(r, "name", "from")
	if err != nil {
		return err
	}
	if q["name"] == "" {
		return fmt.Errorf("%w: name is missing", ErrInvalid)
	}
	resolution, err := s.cfg.Host.Resolve(r.Context(), q["name"], q["from"])
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, resolution)
	return nil
}

func (s *Server) putApp(w http.ResponseWriter, r *http.Request) error {
	return s.takeApp(w, r, false)
}

func (s *Server) deleteApp(w http.ResponseWriter, r *http.Request) error {
	return s.takeApp(w, r, true)
}

func (s *Server) takeApp(w http.ResponseWriter, r *http.Request, deleted bool) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	var rec record.Record
	if err := decode(w, r, &rec); err != nil {
		return err
	}
	if rec.Kind != record.KindApp || rec.Name != r.PathValue("name") || rec.Deleted != deleted {
		return fmt.Errorf("%w: the body is %s %q (deleted: %v), not what %s %s takes",
			ErrInvalid, rec.Kind, rec.Name, rec.Deleted, r.Method, r.URL.Path)
	}
	if err := rec.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := s.cfg.Apps.PutApp(r.Context(), rec); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// parameters reads the query string strictly: each key at most once, no others
// than those named.
func parameters(r *http.Request, known ...string) (map[string]string, error) {
	out := make(map[string]string)
	for key, values := range r.URL.Query() {
		if !slices.Contains(known, key) || len(values) != 1 {
			return nil, fmt.Errorf("%w: unknown or repeated parameter %q", ErrInvalid, key)
		}
		out[key] = values[0]
	}
	return out, nil
}

func number(text, key string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: %s=%.20q is not a number", ErrInvalid, key, text)
	}
	return n, nil
}

// decode reads the body strictly: one JSON value, no unknown keys, not too long,
// not too slowly.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	control := http.NewResponseController(w)
	// Only a recorder in a test has no deadline to set, and it needs none.
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRecord))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: body: %w", ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: body: more than one JSON value", ErrInvalid)
	}
	return nil
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	for sentinel, code := range codes {
		if errors.Is(err, sentinel) {
			status = code
		}
	}
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		status = http.StatusRequestEntityTooLarge
	}
	reply(w, status, Error{err.Error()})
}

var codes = map[error]int{
	ErrInvalid:  http.StatusBadRequest,
	ErrNotFound: http.StatusNotFound,
	ErrStale:    http.StatusConflict,
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody is left to tell
}
