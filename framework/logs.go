package framework

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/framework/api"
	"tombolo/internal/wake"
	linker "tombolo/linker/api"
)

// Logs implements api.Logs. It reads the output of instances from the linkers of their
// hosts. For an instance without a container it shows the last lines of its last task.
func (f *Framework) Logs(ctx context.Context, name string, query api.LogQuery, fn func(api.LogLine) error) error {
	group, ctx := errgroup.WithContext(ctx)
	c := &logCopier{linkers: f.config.Linkers, board: f.board, query: query, fn: fn, begun: map[string]bool{}}
	for first := true; ; first = false {
		snapshot, changed := f.Snapshot()
		if snapshot == nil {
			return fmt.Errorf("%w: the framework still loads its store", api.ErrUnavailable)
		}
		shown, ok := snapshot.Apps.Get(name)
		if !ok && first {
			return fmt.Errorf("app %q: %w", name, api.ErrNotFound)
		}
		for _, i := range shown.Status.Instances {
			if (query.Service == "" || query.Service == i.Service) && (query.Slot == 0 || query.Slot == i.Slot) {
				c.begin(ctx, group, i, first)
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

// logCopier merges the output of several containers.
type logCopier struct {
	linkers map[string]Linker
	board   *board
	query   api.LogQuery
	begun   map[string]bool // by task, or by slot and generation of a task that has ended

	mu sync.Mutex // one line at a time
	fn func(api.LogLine) error
}

// logStart is where a copy begins.
type logStart struct {
	tail int       // the number of last lines to show; 0: all
	time time.Time // older lines are left out; zero: none is
}

// begin starts to copy the output of an instance's task, unless that was begun before.
// first says that the task was there when the user asked; a task that appears later is
// shown from its beginning.
func (c *logCopier) begin(ctx context.Context, group *errgroup.Group, i api.Instance, first bool) {
	l, reachable := c.linkers[i.Host]
	if key := i.Task + " unreachable"; i.Container != "" && !reachable && !c.begun[key] {
		c.begun[key] = true
		group.Go(func() error {
			return c.line(i, linker.LogLine{Stream: api.StreamNotice, Line: "its output is not shown: " + unreachable(i.Host, i.Container)})
		})
	}
	if i.Task == "" || i.Container == "" || i.Started.IsZero() || !reachable {
		key := fmt.Sprintf("%s.%d.g%d ended", i.Service, i.Slot, i.Generation)
		if first && len(i.Log) > 0 && i.Task == "" && c.query.Tail >= 0 && !c.begun[key] {
			c.begun[key] = true
			group.Go(func() error { return c.lastLines(i) })
		}
		return
	}
	if c.begun[i.Task] {
		return
	}
	c.begun[i.Task] = true
	var from logStart
	switch {
	case first && c.query.Tail < 0:
		from = logStart{tail: 1, time: time.Now()}
	case first:
		from.tail = c.query.Tail
	}
	group.Go(func() error { return c.copy(ctx, l.Logs, i, from) })
}

// unreachable says why the framework cannot read the output of a container, and who can.
func unreachable(host, container string) string {
	return fmt.Sprintf("the framework was not given the linker of %s (--linker %[1]s=SOCKET); on that host: docker logs %s", host, container)
}

// copy copies the output of one task. If it follows the output and loses the linker, it
// continues when the linker is back, for as long as the instance has the task.
func (c *logCopier) copy(ctx context.Context, logs Logs, i api.Instance, from logStart) error {
	for retry := wake.NewBackoff(linkerRetry, linkerRetryMax); ; {
		next, refused := from.time, error(nil)
		options := linker.LogOptions{Follow: c.query.Follow, Tail: from.tail}
		err := logs.Logs(ctx, i.Container, options, func(line linker.LogLine) error {
			if line.Time.Before(from.time) {
				return nil
			}
			next = line.Time.Add(1)
			retry.Reset()
			refused = c.line(i, line)
			return refused
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case refused != nil:
			return refused
		case !c.query.Follow && err != nil:
			return fmt.Errorf("%s.%d on %s: %w", i.Service, i.Slot, i.Host, err)
		case !c.query.Follow || !c.hasTask(i) || !retry.Wait(ctx):
			return nil
		}
		from = logStart{time: next}
	}
}

func (c *logCopier) hasTask(i api.Instance) bool {
	snapshot, _ := c.board.get()
	shown, _ := snapshot.Apps.Get(i.App)
	return slices.ContainsFunc(shown.Status.Instances, func(o api.Instance) bool { return o.Task == i.Task })
}

func (c *logCopier) lastLines(i api.Instance) error {
	for _, text := range i.Log {
		if err := c.line(i, linker.LogLine{Stream: "stderr", Line: text}); err != nil {
			return err
		}
	}
	return nil
}

func (c *logCopier) line(i api.Instance, line linker.LogLine) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fn(api.LogLine{
		Service: i.Service, Slot: i.Slot, Host: i.Host, Stream: line.Stream, Time: line.Time, Line: line.Line,
	})
}
