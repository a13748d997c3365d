package framework

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"golang.org/x/sync/errgroup"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/deploy"
	mesosclient "tombolo/framework/mesos"
	"tombolo/framework/store"
	"tombolo/linker/record"
)

// Framework schedules apps. All fields but those under mu and the inbox belong to
// the goroutine of Run.
type Framework struct {
	Config
	inbox   *inbox
	courier *courier

	id        string // given by the master; "" before that
	leader    string // the master's address, as it says
	connected bool
	epoch     uint64 // of app records
	revision  uint64
	floors    map[string]uint64 // by app: generations of forgotten slots end there

	apps    map[string]*deployment
	tasks   map[string]*task
	pins    map[string]string // volume -> host
	hosts   map[string]*host
	offers  map[string]*offer
	linkers map[string]*watcher
	graves  map[string]record.Record // tombstones of removed apps
	seq     uint64                   // of the last app record made

	market    market
	reconcile reconciliation

	batch   store.Batch
	after   []func()                    // once the batch is durable
	wake    time.Time                   // when to look again though nothing came
	spawn   func(func(context.Context)) // starts what Run waits for
	stopped error                       // why Run ends

	mu       sync.Mutex
	snapshot *api.Snapshot
	changed  chan struct{}
}

// deployment is an app and what is known of it.
type deployment struct {
	store.App
	specs  map[string]string
	slots  map[deploy.SlotID]store.Slot
	plan   deploy.Plan
	refuse map[deploy.SlotID]string // why a launch has found no host yet
	stuck  map[deploy.SlotID]time.Time
	shown  map[deploy.SlotID]shown
	record record.Record
	sent   []byte // what record says
}

// New returns a framework that does nothing before Run.
func New(config Config) *Framework {
	f := &Framework{
		Config: config.withDefaults(), inbox: newInbox(),
		apps: map[string]*deployment{}, tasks: map[string]*task{}, pins: map[string]string{},
		hosts: map[string]*host{}, offers: map[string]*offer{}, linkers: map[string]*watcher{},
		graves: map[string]record.Record{}, changed: make(chan struct{}),
	}
	f.courier = newCourier(f)
	f.snapshot = &api.Snapshot{Info: f.Config.Info, Apps: map[string]api.Status{}, Spec: map[string]app.App{}}
	return f
}

// Run loads the store, subscribes and schedules until ctx ends. It returns nil
// then, and an error when the store fails or another framework took our place.
func (f *Framework) Run(ctx context.Context) error {
	if err := f.load(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	f.spawn = func(fn func(context.Context)) {
		group.Go(func() error { fn(ctx); return nil })
	}
	group.Go(func() error { return f.loop(ctx) })
	group.Go(func() error { return f.courier.run(ctx) })
	group.Go(func() error { return f.subscribe(ctx) })
	for _, w := range f.linkers {
		group.Go(func() error { return w.watch(ctx) })
		group.Go(func() error { return w.hand(ctx) })
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// subscribe keeps the subscription, as a new framework where the old is removed.
func (f *Framework) subscribe(ctx context.Context) error {
	for {
		err := f.Master.Run(ctx, func(e scheduler.Event) { f.inbox.put(func() { f.event(e) }) })
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, mesosclient.ErrRemoved) {
			return fmt.Errorf("master: %w", err)
		}
		forgotten := make(chan struct{})
		f.inbox.put(func() {
			f.removed()
			f.then(func() { close(forgotten) })
		})
		select {
		case <-ctx.Done():
			return nil
		case <-forgotten:
			f.Master.SetFrameworkID("")
		}
	}
}

func (f *Framework) load() error {
	state, err := f.Store.Load()
	if err != nil {
		return err
	}
	f.id, f.revision, f.floors, f.pins = state.FrameworkID, state.Revision, state.Floors, state.Pins
	f.epoch = max(state.Epoch+1, uint64(time.Now().Unix()))
	f.batch.SetEpoch(f.epoch)
	f.Master.SetFrameworkID(f.id)
	for name, a := range state.Apps {
		f.apps[name] = newDeployment(a)
	}
	for key, slot := range state.Slots {
		if d := f.apps[key.App]; d != nil {
			d.slots[deploy.SlotID{Service: key.Service, Slot: key.Slot}] = slot
		}
	}
	for id, t := range state.Tasks {
		f.tasks[id] = &task{Task: t}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Config.Linkers)) {
		f.linkers[name] = newWatcher(name, f)
		f.host(name)
	}
	return nil
}

func newDeployment(a store.App) *deployment {
	return &deployment{
		App: a, specs: deploy.Specs(a.App),
		slots: map[deploy.SlotID]store.Slot{}, refuse: map[deploy.SlotID]string{},
		stuck: map[deploy.SlotID]time.Time{}, shown: map[deploy.SlotID]shown{},
	}
}

// loop is the goroutine that owns everything: it takes what came, decides, makes
// it durable, and only then lets it out.
func (f *Framework) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.inbox.ready:
		case <-timer.C:
		}
		for _, fn := range f.inbox.take() {
			fn()
		}
		if f.stopped != nil {
			return f.stopped
		}
		f.wake = time.Time{}
		f.decide(time.Now())
		if err := f.Store.Commit(&f.batch); err != nil {
			return err
		}
		f.publish(time.Now()) // before the replies: who gets one finds what it is about
		for _, fn := range f.after {
			fn()
		}
		f.after = nil
		timer.Reset(f.sleep())
	}
}

// sleep is how long nothing needs to be done unless something comes.
func (f *Framework) sleep() time.Duration {
	if f.wake.IsZero() {
		return time.Hour
	}
	return max(time.Until(f.wake), 0)
}

// wakeAt asks for another decision at t at the latest.
func (f *Framework) wakeAt(t time.Time) {
	if f.wake.IsZero() || t.Before(f.wake) {
		f.wake = t
	}
}

// then does something once what was decided so far is durable.
func (f *Framework) then(fn func()) { f.after = append(f.after, fn) }

// call makes a call to the master once what was decided so far is durable.
func (f *Framework) call(c *scheduler.Call) { f.then(func() { f.courier.put(c) }) }
