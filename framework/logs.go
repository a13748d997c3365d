package framework

import (
	"context"
	"fmt"
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
	if i.Task == "" || i.Container == "" || !ok {
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
	options := linker.LogOptions{Follow: c.query.Follow, Tail: max(c.query.Tail, 0)}
	var after time.Time
	switch {
	case !first:
		options.Tail = 0
	case c.query.Tail < 0:
		options.Tail, after = 1, time.Now()
	}
	group.Go(func() error {
		err := logs.Logs.Logs(ctx, i.Container, options, func(line linker.LogLine) error {
			if line.Time.Before(after) {
				return nil
			}
			return c.line(i, line)
		})
		if err != nil && ctx.Err() == nil && !c.query.Follow {
			return fmt.Errorf("%s.%d on %s: %w", i.Service, i.Slot, i.Host, err)
		}
		return nil
	})
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
