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

// The headers of an answer with the catalog. An index says nothing about the catalog of
// another run of the linker.
const (
	headerIndex = "Tombolo-Index"
	headerRun   = "Tombolo-Run"
)

// snapshotEncoder keeps the JSON of the last snapshot, because every watcher asks for it.
type snapshotEncoder struct {
	mu   sync.Mutex
	snap *record.Snapshot
	body []byte
}

func (e *snapshotEncoder) encode(snap *record.Snapshot) ([]byte, error) {
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

// catalog answers with the snapshot. If the client has that one already, it waits for
// another.
func (s *Server) catalog(w http.ResponseWriter, r *http.Request) error {
	have, wait, err := s.clientIndex(r)
	if err != nil {
		return err
	}
	snap := s.waitForOther(r, have, wait)
	w.Header().Set(headerRun, s.run)
	w.Header().Set(headerIndex, strconv.FormatUint(snap.Index, 10))
	if have != nil && snap.Index == *have {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body, err := s.encoder.encode(snap)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the client is gone
	return nil
}

// clientIndex returns the index of the snapshot that the client has, or nil if it has
// none of this run.
func (s *Server) clientIndex(r *http.Request) (have *uint64, wait time.Duration, err error) {
	q, err := parameters(r, "index", "run", "wait")
	if err != nil {
		return nil, 0, err
	}
	index, err := parseNumber(q["index"], "index")
	if err != nil {
		return nil, 0, err
	}
	if text := q["wait"]; text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			return nil, 0, fmt.Errorf("%w: wait=%.20q is not a duration", ErrInvalid, text)
		}
	}
	if q["index"] == "" || q["run"] != "" && q["run"] != s.run {
		return nil, 0, nil
	}
	return &index, min(wait, maxWait), nil
}

// waitForOther returns a snapshot with another index than have. If there is none within
// wait, it returns the present one. If have is nil, it does not wait.
func (s *Server) waitForOther(r *http.Request, have *uint64, wait time.Duration) *record.Snapshot {
	snap := s.cfg.Catalog.Snapshot()
	if have == nil || snap.Index != *have || wait == 0 {
		return snap
	}
	changes, cancel := s.cfg.Catalog.Watch()
	defer cancel()
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		// Look after Watch, so that a change between the first look and Watch is not missed.
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
