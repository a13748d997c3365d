package framework

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/framework/api"
	linker "tombolo/linker/api"
)

// Logs implements api.Logs: it copies what the linkers of the instances' hosts
// show, and for an instance without a container its last task's last lines.
func (f *Framework) Logs(ctx context.Context, name string, query api.LogQuery, fn func(api.LogLine) error) error {
	group, ctx := errgroup.WithContext(ctx)
	copies := &copier{f: f, query: query, fn: fn, seen: map[string]bool{}}
	for first := true; ; first = false {
		snapshot, changed := f.Snapshot()
		status, ok := snapshot.Apps[name]
		if !ok && first {
			return fmt.Errorf("app %q: %w", name, api.ErrNotFound)
		}
		for _, i := range status.Instances {
			if (query.Service == "" || query.Service == i.Service) && (query.Slot == 0 || query.Slot == i.Slot) {
				copies.begin(ctx, group, i, first)
			}
		}
		if !query.Follow || !ok {
			break
		}
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-changed:
		}
	}
	return group.Wait()
}

// copier merges the output of several containers.
type copier struct {
	f     *Framework
	query api.LogQuery
	seen  map[string]bool // tasks begun

	mu sync.Mutex // one line at a time
	fn func(api.LogLine) error
}

// begin starts to copy an instance's output, unless that of its task has been.
// Of a task that comes while others are followed everything is shown.
func (c *copier) begin(ctx context.Context, group *errgroup.Group, i api.Instance, first bool) {
	logs, ok := c.f.Config.Linkers[i.Host]
	key := i.Task
	if i.Task == "" || i.Container == "" || i.Started.IsZero() || !ok {
		key = fmt.Sprintf("%s.%d.g%d ended", i.Service, i.Slot, i.Generation)
	}
	if c.seen[key] {
		return
	}
	if key != i.Task {
		if first && len(i.Log) > 0 && i.Task == "" && c.query.Tail >= 0 {
			c.seen[key] = true
			group.Go(func() error { return c.last(i) })
		}
		return
	}
	c.seen[key] = true
	from := start{tail: max(c.query.Tail, 0)}
	switch {
	case !first:
		from.tail = 0
	case c.query.Tail < 0:
		from = start{tail: 1, time: time.Now()}
	}
	group.Go(func() error { return c.copy(ctx, logs.Logs, i, from) })
}

// start is where a copy begins: with so many last lines, all for 0, and of those
// with the first that is not older.
type start struct {
	tail int
	time time.Time
}

// copy copies one task's output. What is followed goes on where it stopped when the
// linker of its host is back, for as long as the task is there.
func (c *copier) copy(ctx context.Context, logs Logs, i api.Instance, from start) error {
	for pause := linkerWait; ; pause = min(2*pause, linkerMax) {
		next, gone := from.time, error(nil)
		options := linker.LogOptions{Follow: c.query.Follow, Tail: from.tail}
		err := logs.Logs(ctx, i.Container, options, func(line linker.LogLine) error {
			if line.Time.Before(from.time) {
				return nil
			}
			next, pause = line.Time.Add(1), linkerWait
			gone = c.line(i, line)
			return gone
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case gone != nil:
			return gone
		case !c.query.Follow && err != nil:
			return fmt.Errorf("%s.%d on %s: %w", i.Service, i.Slot, i.Host, err)
		case !c.query.Follow || !c.f.shows(i) || !sleep(ctx, pause):
			return nil
		}
		from = start{time: next}
	}
}

// shows reports whether an instance still has the task that it had.
func (f *Framework) shows(i api.Instance) bool {
	snapshot, _ := f.Snapshot()
	return slices.ContainsFunc(snapshot.Apps[i.App].Instances, func(o api.Instance) bool { return o.Task == i.Task })
}

func (c *copier) last(i api.Instance) error {
	for _, text := range i.Log {
		if err := c.line(i, linker.LogLine{Stream: "stderr", Line: text}); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) line(i api.Instance, line linker.LogLine) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fn(api.LogLine{
		Service: i.Service, Slot: i.Slot, Host: i.Host, Stream: line.Stream, Time: line.Time, Line: line.Line,
	})
}
