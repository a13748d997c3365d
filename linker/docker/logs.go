package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// maxLine is the length at which a line of a container's output is cut.
const maxLine = 64 << 10

// Line is one line of a container's output.
type Line struct {
	Stream string    // "stdout" or "stderr"; a container with a terminal has only "stdout"
	Time   time.Time // zero if the Engine gave none
	Text   string    // without the end of the line
}

// LogOptions select a part of a container's output.
type LogOptions struct {
	Follow bool // continue with new lines until the container ends
	Tail   int  // number of lines from the end; 0: all
}

// Logs calls emit for each line of a container's output. It stops at the first error of
// emit and returns that.
func (e *Engine) Logs(ctx context.Context, container string, opts LogOptions, emit func(Line) error) error {
	info, err := e.api.ContainerInspect(ctx, container, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("logs: %w", err)
	}
	tail := "all"
	if opts.Tail > 0 {
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

// lineWriter cuts a stream into lines, which begin with a time.
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
	if stamp, text, ok := strings.Cut(l.Text, " "); ok {
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			l.Time, l.Text = at, text
		}
	}
	return w.emit(l)
}
