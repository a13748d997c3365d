package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/frameworktest"
	"tombolo/framework/store"
)

// held is the longest time for which the framework may hold an offer.
const held = 5*time.Second + 500*time.Millisecond

// pauseOfCalls is how long calls may wait behind one that has failed, until it is made again.
const pauseOfCalls = 6 * time.Second

// witness stands between the framework and the master, and watches what they say.
type witness struct {
	w      *world
	strict bool // calls arrive at once, so that none delays the next

	mu       sync.Mutex
	client   *frameworktest.Client
	offers   map[string]time.Time // that the framework has, and since when
	troubled time.Time            // the last time that a call failed
	notes    []string
}

// begin begins a run of the framework.
func (w *witness) begin(client *frameworktest.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.client, w.offers = client, map[string]time.Time{}
}

// forget notes that all offers are void.
func (w *witness) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check()
	clear(w.offers)
}

func (w *witness) note(format string, args ...any) {
	text := fmt.Sprintf("%v: "+format, append([]any{time.Since(w.w.began).Round(time.Millisecond)}, args...)...)
	w.notes = append(w.notes, text)
}

func (w *witness) found() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notes
}

// SetFrameworkID implements framework.Master.
func (w *witness) SetFrameworkID(id string) { w.client.SetFrameworkID(id) }

// Run implements framework.Master.
func (w *witness) Run(ctx context.Context, handle func(uint64, scheduler.Event)) error {
	return w.client.Run(ctx, func(n uint64, e scheduler.Event) {
		w.event(e)
		handle(n, e)
	})
}

func (w *witness) event(e scheduler.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check()
	switch e.Type {
	case scheduler.Event_SUBSCRIBED:
		clear(w.offers)
	case scheduler.Event_OFFERS:
		for _, o := range e.Offers.Offers {
			w.offers[o.ID.Value] = time.Now()
		}
	case scheduler.Event_RESCIND:
		delete(w.offers, e.Rescind.OfferID.Value)
	}
}

// check notes offers that are held for too long. An offer is not held if the call that gives it
// back waits behind one that fails.
func (w *witness) check() {
	if w.w.memory.Crashed() {
		clear(w.offers) // the framework has ended, and they are void
	}
	for _, id := range sorted(w.offers) {
		since := w.offers[id]
		if time.Since(since) <= held {
			continue
		}
		delete(w.offers, id)
		if w.strict && since.After(w.troubled.Add(pauseOfCalls)) {
			w.note("offer %s was held for %v", id, time.Since(since))
		}
	}
}

// Call implements framework.Master.
func (w *witness) Call(ctx context.Context, subscription uint64, call *scheduler.Call) error {
	w.mu.Lock()
	w.check()
	switch call.Type {
	case scheduler.Call_ACCEPT:
		w.accepted(call.Accept)
	case scheduler.Call_DECLINE:
		w.settle(call.Decline.OfferIDs)
	}
	w.mu.Unlock()
	err := w.client.Call(ctx, subscription, call)
	if err != nil {
		w.mu.Lock()
		w.troubled = time.Now()
		w.mu.Unlock()
	}
	return err
}

func (w *witness) settle(ids []mesos.OfferID) {
	for _, id := range ids {
		delete(w.offers, id.Value)
	}
}

// accepted checks that every task of an ACCEPT is in the store before the call is made.
func (w *witness) accepted(a *scheduler.Call_Accept) {
	w.settle(a.OfferIDs)
	state, err := store.New(w.w.memory).Load()
	if err != nil {
		return // it has crashed; the call was made before, and waits in its queue
	}
	for _, op := range a.Operations {
		for _, info := range op.GetLaunch().GetTaskInfos() {
			if _, ok := state.Tasks[info.TaskID.Value]; !ok {
				w.note("the ACCEPT of %s is made while it is not in the store", info.TaskID.Value)
			}
		}
	}
}

// look looks at the offers while no message comes.
func (w *witness) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check()
}
