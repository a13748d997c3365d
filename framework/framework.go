package framework

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"golang.org/x/sync/errgroup"

	"tombolo/framework/api"
	mesosclient "tombolo/framework/mesos"
	"tombolo/framework/offers"
	"tombolo/framework/store"
	"tombolo/internal/wake"
	"tombolo/linker/record"
)

// Config is what a Framework needs.
type Config struct {
	Master Master
	Store  *store.Store
	// Linkers are the linkers that the framework can reach, by host name. One of them
	// shows the catalog of all hosts, but logs are only read from the hosts named here.
	// Without any linker, a running task counts as healthy and resolvable, and containers
	// keep Docker's resolver.
	Linkers map[string]Linker
	// Info is the part of the API's answer to /v1/info that the framework does not know
	// itself. An empty Master is filled in with the leader's address, an empty Zone with
	// "tombolo.internal".
	Info api.Info
	Log  *slog.Logger // nil: slog.Default()
}

// Framework schedules apps. All fields but queue, board and offersHeld belong to the goroutine of
// loop.
type Framework struct {
	config     Config
	queue      *wake.Queue[func()] // work for loop
	out        *outbox
	model      *model
	linkers    linkers
	offers     *offers.Book
	records    *appRecords
	reconciler reconciler
	planner    *planner
	updater    *updater
	volumes    *volumeGuard
	examiner   *examiner
	reporter   *reporter
	board      *board
	offersHeld atomic.Int64
}

// New returns a framework that does nothing before Run.
func New(config Config) *Framework {
	config.Log = cmp.Or(config.Log, slog.Default())
	config.Info.Zone = cmp.Or(config.Info.Zone, "tombolo.internal")
	f := &Framework{
		config: config, queue: wake.NewQueue[func()](), model: newModel(),
		linkers: linkers{}, offers: &offers.Book{}, records: newAppRecords(),
	}
	f.out = &outbox{calls: newCallQueue(config.Master, callEvents{f.reconcileSoon, f.launchRefused}, config.Log)}
	events := linkerEvents{queue: f.queue, catalog: f.catalogChanged, stale: f.recordStale, changed: f.model.touchAll}
	for name, l := range config.Linkers {
		f.linkers[name] = newLinkerConn(name, l, events, config.Log)
		f.model.host(name)
	}
	f.volumes = &volumeGuard{model: f.model, linkers: f.linkers, queue: f.queue, wakeAt: f.out.wakeAt, answers: map[string]*volumeAnswer{}}
	f.examiner = &examiner{model: f.model, linkers: f.linkers, queue: f.queue, log: config.Log}
	f.planner = &planner{model: f.model, linkers: f.linkers, offers: f.offers, volumes: f.volumes, out: f.out, log: config.Log}
	f.updater = &updater{model: f.model, linkers: f.linkers, out: f.out, queue: f.queue, log: config.Log}
	f.reporter = &reporter{model: f.model, linkers: f.linkers, out: f.out, info: config.Info}
	f.board = newBoard()
	return f
}

// Run loads the store, subscribes and schedules until ctx ends, and then returns nil. It
// returns an error when the store fails, or when the masters refuse the framework or
// another one has subscribed in its place.
func (f *Framework) Run(ctx context.Context) error {
	if err := f.load(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	spawn := func(fn func(context.Context)) {
		group.Go(func() error { fn(ctx); return nil })
	}
	f.updater.spawn, f.volumes.spawn, f.examiner.spawn = spawn, spawn, spawn
	group.Go(func() error { return f.loop(ctx) })
	group.Go(func() error { return f.subscribe(ctx) })
	spawn(f.out.calls.run)
	for _, c := range f.linkers {
		spawn(c.watch)
		spawn(c.deliver)
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (f *Framework) load() error {
	state, err := f.config.Store.Load()
	if err != nil {
		return err
	}
	f.model.load(state)
	f.records.owner, f.records.epoch = state.FrameworkID, max(state.Epoch+1, uint64(time.Now().Unix()))
	f.model.batch.SetEpoch(f.records.epoch)
	f.config.Master.SetFrameworkID(state.FrameworkID)
	return nil
}

// subscribe keeps the framework subscribed. If the master has removed it, it subscribes
// again as a new one.
func (f *Framework) subscribe(ctx context.Context) error {
	for {
		err := f.config.Master.Run(ctx, func(n uint64, e scheduler.Event) { f.queue.Put(func() { f.event(n, e) }) })
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, mesosclient.ErrRemoved) {
			return fmt.Errorf("master: %w", err)
		}
		_, err = f.command(ctx, func() (uint64, error) {
			f.frameworkRemoved()
			return 0, nil
		})
		if err != nil {
			return nil // ctx has ended
		}
		f.config.Master.SetFrameworkID("")
	}
}

// loop takes queued work, decides, makes the decisions durable, and only then lets their
// effects happen.
func (f *Framework) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.queue.Ready():
		case <-timer.C:
		}
		for _, fn := range f.queue.Take() {
			fn()
		}
		f.decide(time.Now())
		if err := f.config.Store.Commit(&f.model.batch); err != nil {
			return err
		}
		// A caller that gets a reply must find its effect in the snapshot.
		f.board.publish(f.reporter.snapshot(f.board.latest(), time.Now()))
		f.offersHeld.Store(int64(f.offers.Held()))
		f.out.flush()
		timer.Reset(f.out.untilWake())
	}
}

// decide brings the apps that are due up to date, and puts what follows from it into the outbox.
func (f *Framework) decide(now time.Time) {
	f.out.wake = time.Time{}
	f.updater.dropReplaced(now)
	due := f.model.due(now)
	f.model.observe(f.linkers, due, now)
	f.examiner.examine(due, now)
	changed, removed := f.planner.plan(due, now)
	for _, name := range removed {
		f.config.Log.Info("app removed", "app", name)
		f.deliver(f.records.remove(name))
	}
	if f.model.connected {
		due, next := f.reconciler.due(f.model.tasks, now)
		f.out.call(due...)
		f.out.wakeAt(next)
	}
	f.reporter.changed = changed
	if len(f.linkers) > 0 {
		f.publishRecords(changed)
	}
	f.out.wakeAt(f.model.sleepers.next())
}

// publishRecords delivers the records of apps that have changed.
func (f *Framework) publishRecords(apps map[string]bool) {
	var contents []*record.App
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		if d := f.model.apps[name]; d != nil {
			contents = append(contents, appRecord(d, f.model.tasksOf(name)))
		}
	}
	f.deliver(f.records.update(contents)...)
}

// deliver sends app records to linkers once all decisions so far are stored.
func (f *Framework) deliver(records ...record.Record) {
	for _, rec := range records {
		f.out.then(func() { f.linkers.put(rec) })
	}
}

// reconcileSoon asks the master for tasks that it may not have, because a launch failed.
// Any goroutine may call it.
func (f *Framework) reconcileSoon(tasks []string) {
	f.queue.Put(func() { f.reconciler.reconcileSoon(tasks, time.Now()) })
}

// launchRefused ends tasks whose ACCEPT the master has refused. Any goroutine may call it.
func (f *Framework) launchRefused(tasks []string, err error) {
	f.queue.Put(func() { f.updater.refused(tasks, err, time.Now()) })
}

// Disconnected notes that the subscription is lost: offers are void, and nothing is
// launched until there is another. The client of the masters calls it.
func (f *Framework) Disconnected(err error) {
	f.queue.Put(func() {
		if f.model.connected {
			f.config.Log.Warn("master lost", "err", err)
		}
		f.model.disconnected()
		f.offers.Disconnected()
	})
}

// event takes an event of the subscription with a number.
func (f *Framework) event(subscription uint64, e scheduler.Event) {
	switch e.GetType() {
	case scheduler.Event_SUBSCRIBED:
		f.out.subscription = subscription
		f.subscribed(e.GetSubscribed())
	case scheduler.Event_OFFERS:
		for _, o := range e.GetOffers().GetOffers() {
			f.offered(o, time.Now())
		}
	case scheduler.Event_RESCIND:
		f.rescinded(e.GetRescind().OfferID.Value)
	case scheduler.Event_UPDATE:
		status := e.GetUpdate().Status
		f.reconciler.answered(status.TaskID.Value)
		f.updater.update(status, time.Now())
	case scheduler.Event_FAILURE:
		if failure := e.GetFailure(); failure.ExecutorID == nil && failure.AgentID != nil {
			f.agentLost(failure.AgentID.Value)
		}
	case scheduler.Event_INVERSE_OFFERS, scheduler.Event_RESCIND_INVERSE_OFFER:
		f.config.Log.Debug("the master announces maintenance; tasks stay where they are")
	}
}

func (f *Framework) subscribed(s *scheduler.Event_Subscribed) {
	if id := s.FrameworkID.GetValue(); id != f.model.frameworkID {
		f.config.Log.Info("registered", "framework", id)
		f.model.setFrameworkID(id)
		f.records.setOwner(id)
	}
	f.model.subscribed(masterAddress(s.GetMasterInfo()))
	f.offers.Subscribed()
	f.reconciler.start(f.model.tasks, time.Now())
	for _, c := range f.linkers.up() {
		f.sweepRecords(c.snapshot)
	}
}

// frameworkRemoved starts over as a new framework: the master has given up this one and
// its agents end its tasks.
func (f *Framework) frameworkRemoved() {
	f.config.Log.Warn("the master has removed the framework; starting over as a new one", "framework", f.model.frameworkID)
	f.model.setFrameworkID("")
	f.records.owner = ""
	f.model.disconnected()
	f.offers.Disconnected()
	f.updater.dropAll(time.Now())
}

func (f *Framework) offered(in mesos.Offer, now time.Time) {
	o, actions, err := f.offers.Add(in, now)
	f.out.do(actions)
	if err != nil {
		f.config.Log.Warn("offer declined: no linker can have the name of its host", "agent", in.AgentID.Value, "err", err)
		return
	}
	if o.Reserved && !f.model.host(o.Host).reserves {
		f.config.Log.Warn("resources that are reserved for a role are not used", "host", o.Host)
	}
	free, _ := f.offers.Free(o.Host, o.Agent)
	f.model.hostOffered(o, free)
}

// rescinded notes that the master takes an offer back.
func (f *Framework) rescinded(id string) {
	o := f.offers.Rescind(id)
	if o == nil {
		return
	}
	if free, ok := f.offers.Free(o.Host, o.Agent); ok {
		f.model.hostOffered(o, free)
	}
}

func (f *Framework) agentLost(agent string) {
	for _, host := range f.model.agentLost(agent) {
		f.config.Log.Warn("host lost", "host", host, "agent", agent)
	}
	f.offers.RemoveAgent(agent)
}

// catalogChanged takes a linker's new catalog.
func (f *Framework) catalogChanged(c *linkerConn, change catalogChange, cameUp bool) {
	f.model.touchChanged(change)
	f.model.raiseFloors(change.endpoints)
	if cameUp || change.hosts {
		f.hostsChanged(c)
	}
	if cameUp {
		f.out.then(func() {
			for _, rec := range f.records.all() {
				c.outgoing.Put(rec)
			}
		})
	}
	if cameUp || change.records {
		f.sweepRecords(c.snapshot)
	}
}

// hostsChanged takes the hosts of a linker's catalog.
func (f *Framework) hostsChanged(c *linkerConn) {
	f.model.touchAll()
	for name := range c.snapshot.Hosts {
		f.model.host(name)
	}
	f.model.forgetHosts(func(name string) bool { return f.linkers[name] != nil || f.linkers.hostRecord(name) != nil })
}

// sweepRecords removes records of apps that nobody wants from the catalogs. Only a
// subscribed framework does, because otherwise another one may lead and want them.
func (f *Framework) sweepRecords(s *record.Snapshot) {
	if f.model.connected {
		f.deliver(f.records.sweep(s.Owners, func(app string) bool { return f.model.apps[app] != nil })...)
	}
}

// recordStale makes all records newer than the linker's, which has refused rec as stale.
func (f *Framework) recordStale(rec record.Record) {
	tombstones, raised := f.records.stale(rec)
	if !raised {
		return
	}
	f.model.touchAll()
	f.model.batch.SetEpoch(f.records.epoch)
	f.config.Log.Warn("a linker has newer app records; raising the epoch past them", "app", rec.Name, "epoch", f.records.epoch)
	f.deliver(tombstones...)
}
