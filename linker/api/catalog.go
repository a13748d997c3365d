package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tombolo/linker/record"
)

// The headers of a catalog's answer: which index it is, of which run of the linker.
// An index says nothing about another run's catalog.
const (
	headerIndex = "Tombolo-Index"
	headerRun   = "Tombolo-Run"
)

// encoded keeps the last snapshot's JSON, which every watcher asks for.
type encoded struct {
	mu   sync.Mutex
	snap *record.Snapshot
	body []byte
}

func (e *encoded) of(snap *record.Snapshot) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.snap == snap {
		return e.body, nil
	}
	body, err := json.Marshal(snap)
	if err != nil {
		return nil, fmt.Errorf("encode catalog: %w", err)
	}
	e.snap, e.body = snap, body
	return body, nil
}

// catalog answers with the snapshot: at once, or when it is another than the one
// that the asker has.
func (s *Server) catalog(w http.ResponseWriter, r *http.Request) error {
	have, wait, err := s.condition(r)
	if err != nil {
		return err
	}
	snap := s.next(r, have, wait)
	w.Header().Set(headerRun, s.run)
	w.Header().Set(headerIndex, strconv.FormatUint(snap.Index, 10))
	if have != nil && snap.Index == *have {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body, err := s.snap.of(snap)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client is gone: nobody is left to tell
	return nil
}

// condition reads which index the asker has; nil: none of this run's.
func (s *Server) condition(r *http.Request) (have *uint64, wait time.Duration, err error) {
	q, err := parameters(r, "index", "run", "wait")
	if err != nil {
		return nil, 0, err
	}
	index, err := number(q["index"], "index")
	if err != nil {
		return nil, 0, err
	}
	if text := q["wait"]; text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			return nil, 0, fmt.Errorf("%w: wait=%.20q is no duration", ErrInvalid, text)
		}
	}
	if q["index"] == "" || q["run"] != "" && q["run"] != s.run {
		return nil, 0, nil
	}
	return &index, min(wait, maxWait), nil
}

// next waits for another snapshot than the one with index have.
func (s *Server) next(r *http.Request, have *uint64, wait time.Duration) *record.Snapshot {
	snap := s.cfg.Catalog.Snapshot()
	if have == nil || snap.Index != *have || wait == 0 {
		return snap
	}
	changes, cancel := s.cfg.Catalog.Watch()
	defer cancel()
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		// After Watch: what changed between the first look and it is not missed.
		if snap = s.cfg.Catalog.Snapshot(); snap.Index != *have {
			return snap
		}
		select {
		case <-changes:
		case <-late.C:
			return snap
		case <-r.Context().Done():
			return snap
		}
	}
}
