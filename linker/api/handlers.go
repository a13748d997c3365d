package api

import (
	"context"
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

// handler answers a request. If it returns an error, it has written nothing yet.
type handler func(http.ResponseWriter, *http.Request) error

// methods is the http.Handler of one resource: a handler for each HTTP method.
type methods map[string]handler

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handle, ok := m[r.Method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(m)), ", "))
		writeJSON(w, http.StatusMethodNotAllowed, Error{fmt.Sprintf("%s is not possible on %s", r.Method, r.URL.Path)})
		return
	}
	if err := handle(w, r); err != nil {
		writeError(w, err)
	}
}

// get returns a handler that answers with the result of ask. It calls ask with the
// parameters of the query; only those in known are permitted.
func get[T any](ask func(ctx context.Context, q map[string]string) (T, error), known ...string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := parameters(r, known...)
		if err != nil {
			return err
		}
		answer, err := ask(r.Context(), q)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, answer)
		return nil
	}
}

func (s *Server) status(ctx context.Context, _ map[string]string) (Status, error) {
	return s.cfg.Host.Status(ctx)
}

func (s *Server) resolve(ctx context.Context, q map[string]string) (Resolution, error) {
	if q["name"] == "" {
		return Resolution{}, fmt.Errorf("%w: the parameter name is missing", ErrInvalid)
	}
	return s.cfg.Host.Resolve(ctx, q["name"], q["from"])
}

func (s *Server) engine(ctx context.Context, _ map[string]string) (EngineVersion, error) {
	return s.cfg.Engine.Version(ctx)
}

// named returns a handler that asks for the thing that a part of the path names.
func named[T any](part string, ask func(ctx context.Context, name string) (T, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := parameters(r); err != nil {
			return err
		}
		answer, err := ask(r.Context(), r.PathValue(part))
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, answer)
		return nil
	}
}

func (s *Server) hosts(ctx context.Context, _ map[string]string) ([]HostState, error) {
	return s.cfg.Cluster.Hosts(ctx), nil
}

// forgetHost forgets a host that is gone for good; force=1: also one that is alive.
func (s *Server) forgetHost(w http.ResponseWriter, r *http.Request) error {
	q, err := parameters(r, "force")
	if err != nil {
		return err
	}
	if q["force"] != "" && q["force"] != "1" {
		return fmt.Errorf("%w: force=%.20q: want 1 or nothing", ErrInvalid, q["force"])
	}
	h, err := s.cfg.Cluster.Forget(r.Context(), r.PathValue("name"), q["force"] == "1")
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, h)
	return nil
}

func (s *Server) removeVolume(w http.ResponseWriter, r *http.Request) error {
	return named("name", func(ctx context.Context, name string) (Volume, error) {
		return Volume{}, s.cfg.Volumes.RemoveVolume(ctx, name)
	})(w, r)
}

// putApp stores the app record of a PUT, or the tombstone of a DELETE.
func (s *Server) putApp(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	packet, err := readRecord(w, r)
	if err != nil {
		return err
	}
	rec, err := record.Decode(packet)
	if err != nil {
		return fmt.Errorf("%w: body: %w", ErrInvalid, err)
	}
	if rec.Kind != record.KindApp || rec.Name != r.PathValue("name") || rec.Deleted != (r.Method == http.MethodDelete) {
		return fmt.Errorf("%w: the body is %s %q (deleted: %v), which does not fit %s %s",
			ErrInvalid, rec.Kind, rec.Name, rec.Deleted, r.Method, r.URL.Path)
	}
	switch err := s.cfg.Catalog.PutApp(packet); {
	case errors.Is(err, ErrStale):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// parameters parses the query string. It returns an error for a parameter that is not
// known or that is given twice.
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

// parseNumber returns 0 for "".
func parseNumber(text, key string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: %s=%.20q is not a number", ErrInvalid, key, text)
	}
	return n, nil
}

// readRecord reads the body, which must be an encoded record, within the limits of size
// and time.
func readRecord(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if got := r.Header.Get("Content-Type"); got != ContentRecord {
		return nil, fmt.Errorf("%w: the body has the content type %.64q, want %s", ErrInvalid, got, ContentRecord)
	}
	control := http.NewResponseController(w)
	// Only the recorder of a test returns an error: it has no deadline to set.
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	packet, err := io.ReadAll(http.MaxBytesReader(w, r.Body, record.MaxEncoded))
	if err != nil {
		return nil, fmt.Errorf("%w: body: %w", ErrInvalid, err)
	}
	return packet, nil
}

var statusCodes = map[error]int{
	ErrInvalid:  http.StatusBadRequest,
	ErrNotFound: http.StatusNotFound,
	ErrStale:    http.StatusConflict,
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	for sentinel, code := range statusCodes {
		if errors.Is(err, sentinel) {
			status = code
		}
	}
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		status = http.StatusRequestEntityTooLarge
	}
	writeJSON(w, status, Error{err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error means that the client is gone
}
