package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
	"tombolo/framework/store"
	"tombolo/internal/wake"
	linker "tombolo/linker/api"
	"tombolo/linker/record"
)

// fakeLinker is a linker that shows the catalogs of the test and takes records.
type fakeLinker struct {
	catalogs chan *record.Snapshot // closed: the linker is lost

	mu    sync.Mutex
	taken []string
	err   error // of the next records
}

// fail makes the linker refuse records with err; nil makes it take them again.
func (l *fakeLinker) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// got returns the records that the linker has taken.
func (l *fakeLinker) got() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.taken)
}

func (l *fakeLinker) take(what string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.taken = append(l.taken, what)
	return nil
}

func (l *fakeLinker) Watch(ctx context.Context, fn func(*record.Snapshot)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s, ok := <-l.catalogs:
			if !ok {
				return errors.New("connection refused")
			}
			fn(s)
		}
	}
}

func (l *fakeLinker) PutApp(_ context.Context, rec record.Record) error {
	return l.take(fmt.Sprint(rec.Name, " ", rec.Version.Seq))
}

func (l *fakeLinker) DeleteApp(_ context.Context, rec record.Record) error {
	return l.take("-" + rec.Name)
}

// connect runs fn with a connection and a function that runs the framework's queue and
// returns the events since.
func connect(t *testing.T, fn func(*fakeLinker, *linkerConn, func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLinker{catalogs: make(chan *record.Snapshot)}
		var events []string
		queue := wake.NewQueue[func()]()
		c := newLinkerConn("h1", Linker{Catalog: l, Recorder: l}, linkerEvents{
			queue: queue,
			catalog: func(c *linkerConn, _ catalogChange, cameUp bool) {
				events = append(events, fmt.Sprint("catalog ", c.snapshot.Index, " came up ", cameUp))
			},
			stale:   func(rec record.Record) { events = append(events, "stale "+rec.Name) },
			changed: func() {},
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go c.watch(ctx)
		go c.deliver(ctx)
		fn(l, c, func() []string {
			synctest.Wait()
			events = nil
			for _, queued := range queue.Take() {
				queued()
			}
			return events
		})
		cancel()
		synctest.Wait()
	})
}

func appVersion(name string, seq uint64) record.Record {
	return record.Record{Key: record.Key{Kind: record.KindApp, Name: name}, Version: record.Version{Seq: seq}}
}

func TestOnlyTheNewestCatalogIsTaken(t *testing.T) {
	connect(t, func(l *fakeLinker, c *linkerConn, step func() []string) {
		l.catalogs <- &record.Snapshot{Index: 1}
		l.catalogs <- &record.Snapshot{Index: 2, Endpoints: map[string]*record.Endpoint{"c1": {Task: "web"}, "c2": {}}}
		if diff := cmp.Diff([]string{"catalog 2 came up true"}, step()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if len(c.endpoints) != 1 || c.endpoints["web"] == nil {
			t.Errorf("endpoints by task are %v, want that of web", c.endpoints)
		}
		l.catalogs <- &record.Snapshot{Index: 3}
		if diff := cmp.Diff([]string{"catalog 3 came up false"}, step()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		close(l.catalogs)
		if step(); c.up || c.snapshot.Index != 3 {
			t.Errorf("up is %v with catalog %d after the linker was lost, want the last catalog and not up", c.up, c.snapshot.Index)
		}
	})
}

// A linker that is older than the framework may not be able to read a label.
func TestATaskWhoseLabelsCannotBeReadHasAReason(t *testing.T) {
	for name, tt := range map[string]struct {
		shut record.Endpoint
		want string
	}{
		"it is shut off":      {record.Endpoint{Container: "c1", Internal: true}, "the linker of h1 cannot read the container's labels (see there: tombolo linker status)"},
		"another container":   {record.Endpoint{Container: "c2", Internal: true}, ""},
		"its labels are read": {record.Endpoint{Container: "c1", App: "shop", Task: "t1", Internal: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newLinkerConn("h1", Linker{}, linkerEvents{queue: wake.NewQueue[func()](), catalog: func(*linkerConn, catalogChange, bool) {}}, slog.New(slog.DiscardHandler))
			c.bring(&record.Snapshot{Endpoints: map[string]*record.Endpoint{"e": &tt.shut}})
			c.take()
			task := &task{Task: store.Task{ID: "t1", Host: "h1", Container: "c1"}}
			task.observe([]*linkerConn{c}, time.Now())
			var i api.Instance
			if showTask(&i, task); i.Reason != tt.want {
				t.Errorf("ps shows the reason %q, want %q", i.Reason, tt.want)
			}
		})
	}
}

// A check may fail for some time while a container starts. After it has passed, its failure is no
// reason any more.
func TestTheReasonEndsWhenTheHealthCheckPasses(t *testing.T) {
	for name, tt := range map[string]struct {
		seen record.Endpoint
		want string
	}{
		"it passes":               {record.Endpoint{Task: "t1", Running: true, Health: record.HealthHealthy}, ""},
		"it fails":                {record.Endpoint{Task: "t1", Running: true, Health: record.HealthStarting}, "its health check fails"},
		"the container is paused": {record.Endpoint{Task: "t1", Health: record.HealthHealthy}, "its health check fails"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newLinkerConn("h1", Linker{}, linkerEvents{queue: wake.NewQueue[func()](), catalog: func(*linkerConn, catalogChange, bool) {}}, slog.New(slog.DiscardHandler))
			c.bring(&record.Snapshot{Endpoints: map[string]*record.Endpoint{"e": &tt.seen}})
			c.take()
			task := &task{Task: store.Task{ID: "t1", Host: "h1"}, examined: examination{finding: "its health check fails"}}
			task.observe([]*linkerConn{c}, time.Now())
			var i api.Instance
			if showTask(&i, task); i.Reason != tt.want {
				t.Errorf("ps shows the reason %q, want %q", i.Reason, tt.want)
			}
		})
	}
}

func TestRecordsAreDeliveredUntilTheLinkerTakesThem(t *testing.T) {
	connect(t, func(l *fakeLinker, c *linkerConn, step func() []string) {
		l.fail(errors.New("connection refused"))
		c.outgoing.Put(appVersion("shop", 1))
		time.Sleep(10*time.Second + 1)
		l.fail(nil)
		c.outgoing.Put(appVersion("blog", 2))
		c.outgoing.Put(appVersion("shop", 3)) // replaces the first
		time.Sleep(10 * time.Second)
		tombstone := appVersion("blog", 4)
		tombstone.Deleted = true
		c.outgoing.Put(tombstone)
		step()
		if diff := cmp.Diff([]string{"blog 2", "shop 3", "-blog"}, l.got()); diff != "" {
			t.Errorf("records that the linker took (-want +got):\n%s", diff)
		}
	})
}

func TestAStaleRecordIsReportedAndNotRepeated(t *testing.T) {
	connect(t, func(l *fakeLinker, c *linkerConn, step func() []string) {
		l.fail(fmt.Errorf("shop: %w", linker.ErrStale))
		c.outgoing.Put(appVersion("shop", 1))
		if diff := cmp.Diff([]string{"stale shop"}, step()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		l.fail(nil)
		time.Sleep(time.Minute)
		if len(l.got()) > 0 {
			t.Errorf("the linker got %v again, want no more attempts", l.got())
		}
	})
}
