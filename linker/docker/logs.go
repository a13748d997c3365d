package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// maxLine is where a line of a container's output is cut.
const maxLine = 64 << 10

// Line is one line of a container's output.
type Line struct {
	Stream string // "stdout" or "stderr"; a container with a terminal has the first alone
	Time   time.Time
	Text   string // without its end
}

// Logs hands a container's output to emit, line by line: its last tail lines (all
// of them when tail is negative), and with follow whatever comes until it ends. It
// returns emit's error when that has one.
func (e *Engine) Logs(ctx context.Context, container string, opts LogOptions, emit func(Line) error) error {
	info, err := e.api.ContainerInspect(ctx, container, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("logs: %w", err)
	}
	tail := "all"
	if opts.Tail >= 0 {
		tail = strconv.Itoa(opts.Tail)
	}
	stream, err := e.api.ContainerLogs(ctx, container, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: opts.Follow, Tail: tail,
	})
	if err != nil {
		return fmt.Errorf("logs: %w", err)
	}
	defer stream.Close()
	stdout, stderr := &lineWriter{stream: "stdout", emit: emit}, &lineWriter{stream: "stderr", emit: emit}
	if info.Container.Config != nil && info.Container.Config.Tty {
		_, err = io.Copy(stdout, stream)
	} else {
		_, err = stdcopy.StdCopy(stdout, stderr, stream)
	}
	for _, w := range []*lineWriter{stdout, stderr} {
		if err == nil {
			err = w.flush()
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// LogOptions says which part of the output Logs gives.
type LogOptions struct {
	Follow bool
	Tail   int
}

// lineWriter cuts a stream into lines that begin with a time.
type lineWriter struct {
	stream string
	emit   func(Line) error
	rest   []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		end, newline := bytes.IndexByte(w.rest, '\n'), 1
		if len(w.rest) > maxLine && (end < 0 || end > maxLine) {
			end, newline = maxLine, 0
		}
		if end < 0 {
			return len(p), nil
		}
		if err := w.send(w.rest[:end]); err != nil {
			return 0, err
		}
		w.rest = w.rest[end+newline:]
	}
}

func (w *lineWriter) flush() error {
	if len(w.rest) == 0 {
		return nil
	}
	return w.send(w.rest)
}

func (w *lineWriter) send(raw []byte) error {
	l := Line{Stream: w.stream, Text: string(bytes.TrimSuffix(raw, []byte("\r")))}
	if stamp, text, ok := bytes.Cut(raw, []byte(" ")); ok {
		if at, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil {
			l.Time, l.Text = at, string(bytes.TrimSuffix(text, []byte("\r")))
		}
	}
	return w.emit(l)
}
