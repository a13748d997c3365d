package offers

import (
	"cmp"
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/place"
)

const (
	gatherWait     = 300 * time.Millisecond // for offers of all hosts, before new instances are placed
	holdOffers     = 5 * time.Second        // an offer in which an instance nearly fits is declined after this time
	refuse         = 5 * time.Second        // until the master offers declined or left-over resources again
	refuseMax      = 30 * time.Second       // refuse doubles up to this while the same instances wait
	refuseIdle     = time.Hour              // the same, while no instance waits
	refuseUnusable = time.Hour              // the same, for a host that cannot be used
)

// Book is the book of offers of one framework. The zero Book holds no offers. One
// goroutine uses it.
type Book struct {
	held       map[string]*Offer   // by ID
	hosts      map[string][]*Offer // the same, by host and ordered by ID
	suppressed bool                // the master makes no offers
	filtered   bool                // the master leaves out some resources that were declined or left over
	waiting    map[Instance]bool   // the instances of the last ReviveOffers
	usable     map[string]bool     // the hosts of the last ReviveOffers
	since      time.Time           // when an instance was new in waiting
	pause      time.Duration       // the next refuse while the same instances wait; 0: the first
}

// Instance names a slot of a service of an app.
type Instance struct {
	App, Service string
	Slot         int
}

// Actions are what the framework does next.
type Actions struct {
	Calls []*scheduler.Call // to make, in this order
	Wake  time.Time         // when to call the book again; zero: when something changes
}

// Held returns the number of offers that are held.
func (b *Book) Held() int { return len(b.held) }

// Subscribed notes a new subscription, for which the master starts without offers and
// filters and with offers revived.
func (b *Book) Subscribed() { *b = Book{} }

// Disconnected notes that the subscription is lost, which voids all offers.
func (b *Book) Disconnected() { b.held, b.hosts, b.waiting = nil, nil, nil }

// Add notes an offer. It returns an error, and declines the offer, if the name of the
// agent's host cannot be the name of a linker.
func (b *Book) Add(in mesos.Offer, now time.Time) (*Offer, Actions, error) {
	o, err := parse(in, now)
	if err != nil {
		return nil, Actions{Calls: []*scheduler.Call{decline(refuseUnusable, in.ID)}}, err
	}
	if b.held == nil {
		b.held, b.hosts = map[string]*Offer{}, map[string][]*Offer{}
	}
	b.held[o.ID] = o
	at, _ := slices.BinarySearchFunc(b.hosts[o.Host], o, byID)
	b.hosts[o.Host] = slices.Insert(b.hosts[o.Host], at, o)
	return o, Actions{}, nil
}

func byID(a, b *Offer) int { return cmp.Compare(a.ID, b.ID) }

// Rescind notes that the master takes an offer back, which it returns; nil: it is not held.
func (b *Book) Rescind(id string) *Offer {
	o := b.held[id]
	if o != nil {
		b.drop(o)
	}
	return o
}

func (b *Book) drop(o *Offer) {
	delete(b.held, o.ID)
	list := slices.DeleteFunc(b.hosts[o.Host], func(other *Offer) bool { return other == o })
	if b.hosts[o.Host] = list; len(list) == 0 {
		delete(b.hosts, o.Host)
	}
}

// RemoveAgent drops the offers of an agent that is gone.
func (b *Book) RemoveAgent(agent string) {
	for _, o := range b.held {
		if o.Agent == agent {
			b.drop(o)
		}
	}
}

// Hosts returns the hosts of which offers are held.
func (b *Book) Hosts() map[string][]*Offer { return b.hosts }

// Of returns the offers of one agent on a host, ordered by ID. Offers of an earlier
// agent of the host are not among them.
func (b *Book) Of(host, agent string) (list []*Offer) {
	for _, o := range b.hosts[host] {
		if o.Agent == agent {
			list = append(list, o)
		}
	}
	return list
}

// Free adds up the resources of the offers that are held of an agent on a host. ok=false:
// there are none.
func (b *Book) Free(host, agent string) (free Free, ok bool) {
	for _, o := range b.hosts[host] {
		if o.Agent == agent {
			free.CPUs, free.MemBytes, ok = free.CPUs+o.CPUs, free.MemBytes+o.MemBytes, true
			free.Ports = append(free.Ports, o.Ports...)
		}
	}
	return free, ok
}

// Free are resources of a host that the framework may use now.
type Free struct {
	CPUs     float64
	MemBytes int64
	Ports    []place.PortRange
}

// ReviveOffers asks the master for offers when an instance begins to wait, or when a host
// becomes usable, if the master makes none or leaves some out. It returns ready=false while it is worth
// waiting a moment longer, because one of the usable hosts has not offered yet.
func (b *Book) ReviveOffers(instances []Instance, usable []string, now time.Time) (ready bool, do Actions) {
	isNew, isUsable := false, false
	b.waiting, isNew = noteNew(b.waiting, instances)
	b.usable, isUsable = noteNew(b.usable, usable)
	if isNew {
		b.since, b.pause = now, 0
	}
	if (isNew || isUsable) && (b.suppressed || b.filtered) {
		do.Calls = b.revive()
	}
	gathered := b.since.Add(gatherWait)
	if !now.Before(gathered) || b.offersFromAll(usable) {
		return true, do
	}
	do.Wake = gathered
	return false, do
}

// noteNew returns list as a set, and whether it has anything that before has not.
func noteNew[T comparable](before map[T]bool, list []T) (set map[T]bool, isNew bool) {
	set = make(map[T]bool, len(list))
	for _, v := range list {
		set[v] = true
		isNew = isNew || !before[v]
	}
	return set, isNew
}

func (b *Book) offersFromAll(hosts []string) bool {
	silent := slices.ContainsFunc(hosts, func(host string) bool { return b.hosts[host] == nil })
	return !silent && len(b.hosts) > 0
}

// Demand says what offers are still wanted for.
type Demand struct {
	Unplaced  bool            // instances wait for a host
	Near      map[string]bool // the hosts on which one of these fits if a little more is offered, or a port becomes free
	EveryHost bool            // a service runs on every host: a new host is only seen by its offer
}

// DeclineIdle declines the offers that nothing uses: those of hosts on which no waiting
// instance nearly fits, and those that were held for too long. If no instance waits, it
// suppresses further offers, unless a service needs to see new hosts.
func (b *Book) DeclineIdle(demand Demand, now time.Time) (do Actions) {
	var ids []mesos.OfferID
	for _, id := range slices.Sorted(maps.Keys(b.held)) {
		o := b.held[id]
		if until := o.Since.Add(holdOffers); demand.Unplaced && demand.Near[o.Host] && now.Before(until) {
			if do.Wake.IsZero() || until.Before(do.Wake) {
				do.Wake = until
			}
			continue
		}
		ids = append(ids, mesos.OfferID{Value: id})
		b.drop(o)
	}
	if len(ids) > 0 {
		b.filtered = true
		do.Calls = append(do.Calls, decline(b.refusal(demand), ids...))
	}
	if demand.Unplaced {
		return do
	}
	b.waiting = nil
	switch {
	case demand.EveryHost && b.suppressed:
		do.Calls = append(do.Calls, b.revive()...)
	case !demand.EveryHost && !b.suppressed:
		b.suppressed = true
		do.Calls = append(do.Calls, calls.Suppress())
	}
	return do
}

// refusal returns how long the master does not offer the same resources again. It offers
// them at once if more of their host becomes free, so a longer time only spares both sides
// work.
func (b *Book) refusal(demand Demand) time.Duration {
	switch {
	case demand.Unplaced:
		pause := cmp.Or(b.pause, refuse)
		b.pause = min(2*pause, refuseMax)
		return pause
	case demand.EveryHost:
		return refuseIdle
	}
	return refuse
}

// Accept uses all offers of an agent on a host to launch tasks. The master offers the
// resources that the tasks leave again later.
func (b *Book) Accept(host, agent string, tasks []mesos.TaskInfo) Actions {
	var ids []mesos.OfferID
	for _, o := range b.Of(host, agent) {
		ids = append(ids, mesos.OfferID{Value: o.ID})
		b.drop(o)
	}
	b.filtered = true
	call := &scheduler.Call{
		Type: scheduler.Call_ACCEPT,
		Accept: &scheduler.Call_Accept{
			OfferIDs:   ids,
			Operations: []mesos.Offer_Operation{calls.OpLaunch(tasks...)},
		},
	}
	return Actions{Calls: []*scheduler.Call{call.With(calls.RefuseSeconds(refuse))}}
}

func (b *Book) revive() []*scheduler.Call {
	b.suppressed, b.filtered = false, false
	return []*scheduler.Call{calls.Revive()}
}

func decline(pause time.Duration, ids ...mesos.OfferID) *scheduler.Call {
	return calls.Decline(ids...).With(calls.RefuseSeconds(pause))
}
