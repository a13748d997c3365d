package api

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// trailerError is the HTTP trailer for an error that comes after the first line.
const trailerError = "Tombolo-Error"

// logs sends lines as they come.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) error {
	o, err := logOptions(r)
	if err != nil {
		return err
	}
	out := &lineWriter{w: w, encoder: json.NewEncoder(w), control: http.NewResponseController(w)}
	err = s.cfg.Host.Logs(r.Context(), r.PathValue("id"), o, out.line)
	if err == nil {
		out.start() // so that output without a line is answered too
		return nil
	}
	if !out.started {
		return err
	}
	w.Header().Set(trailerError, err.Error())
	return nil
}

func logOptions(r *http.Request) (LogOptions, error) {
	q, err := parameters(r, "follow", "tail")
	if err != nil {
		return LogOptions{}, err
	}
	tail, err := parseNumber(q["tail"], "tail")
	if err != nil {
		return LogOptions{}, err
	}
	switch q["follow"] {
	case "", "0", "1":
	default:
		return LogOptions{}, fmt.Errorf("%w: follow=%.20q is not 0 or 1", ErrInvalid, q["follow"])
	}
	return LogOptions{Follow: q["follow"] == "1", Tail: int(tail)}, nil
}

type lineWriter struct {
	w       http.ResponseWriter
	encoder *json.Encoder
	control *http.ResponseController
	started bool // the header is written
}

func (l *lineWriter) start() {
	if !l.started {
		l.started = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("Trailer", trailerError)
		l.w.WriteHeader(http.StatusOK)
	}
}

func (l *lineWriter) line(line LogLine) error {
	l.start()
	if err := l.encoder.Encode(line); err != nil {
		return err
	}
	return l.control.Flush()
}
