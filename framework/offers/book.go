package offers

import (
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/place"
	"tombolo/linker/record"
)

const (
	gatherWait     = 300 * time.Millisecond // for offers of all hosts, before new instances are placed
	holdOffers     = 30 * time.Second       // offers in which nothing fits are declined after this time
	refuse         = 5 * time.Second        // until the master offers declined or left-over resources again
	refuseIdle     = time.Hour              // the same, while no instance waits
	refuseUnusable = time.Hour              // the same, for a host that cannot be used
)

// Book is the book of offers of one framework. The zero Book holds no offers. One
// goroutine uses it.
type Book struct {
	held       map[string]*Offer // by ID
	suppressed bool              // the master makes no offers
	filtered   bool              // the master leaves out some resources that were declined or left over
	waiting    map[Instance]bool // the instances of the last ReviveOffers
	since      time.Time         // when an instance was new in waiting
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

// Subscribed notes a new subscription, for which the master starts without offers and
// filters and with offers revived.
func (b *Book) Subscribed() { *b = Book{} }

// Disconnected notes that the subscription is lost, which voids all offers.
func (b *Book) Disconnected() { b.held, b.waiting = nil, nil }

// Add notes an offer. It returns an error, and declines the offer, if the name of the
// agent's host cannot be the name of a linker.
func (b *Book) Add(in mesos.Offer, now time.Time) (*Offer, Actions, error) {
	o, err := parse(in, now)
	if err != nil {
		return nil, Actions{Calls: []*scheduler.Call{decline(refuseUnusable, in.ID)}}, err
	}
	if b.held == nil {
		b.held = map[string]*Offer{}
	}
	b.held[o.ID] = o
	return o, Actions{}, nil
}

// Rescind notes that the master takes an offer back.
func (b *Book) Rescind(id string) { delete(b.held, id) }

// RemoveAgent drops the offers of an agent that is gone.
func (b *Book) RemoveAgent(agent string) {
	maps.DeleteFunc(b.held, func(_ string, o *Offer) bool { return o.Agent == agent })
}

// ByHost returns the offers that are held, by host and ordered by ID.
func (b *Book) ByHost() map[string][]*Offer {
	hosts := map[string][]*Offer{}
	for _, id := range slices.Sorted(maps.Keys(b.held)) {
		hosts[b.held[id].Host] = append(hosts[b.held[id].Host], b.held[id])
	}
	return hosts
}

// Of returns the offers of one agent on a host, ordered by ID. Offers of an earlier
// agent of the host are not among them.
func (b *Book) Of(host, agent string) []*Offer {
	return slices.DeleteFunc(b.ByHost()[host], func(o *Offer) bool { return o.Agent != agent })
}

// ReviveOffers asks the master for offers when an instance begins to wait, if the
// master makes none or leaves some out. It returns ready=false while it is worth
// waiting a moment longer, because one of the usable hosts has not offered yet.
func (b *Book) ReviveOffers(instances []Instance, usable []string, now time.Time) (ready bool, do Actions) {
	waiting, isNew := map[Instance]bool{}, false
	for _, i := range instances {
		waiting[i] = true
		isNew = isNew || !b.waiting[i]
	}
	b.waiting = waiting
	if isNew {
		b.since = now
		if b.suppressed || b.filtered {
			do.Calls = b.revive()
		}
	}
	gathered := b.since.Add(gatherWait)
	if !now.Before(gathered) || b.offersFromAll(usable) {
		return true, do
	}
	do.Wake = gathered
	return false, do
}

func (b *Book) offersFromAll(hosts []string) bool {
	offering := b.ByHost()
	silent := slices.ContainsFunc(hosts, func(host string) bool { return offering[host] == nil })
	return !silent && len(offering) > 0
}

// Demand says what offers are still wanted for.
type Demand struct {
	Unplaced  bool // instances wait for a host
	EveryHost bool // a service runs on every host: a new host is only seen by its offer
}

// DeclineIdle declines the offers that nothing uses: all if no instance waits,
// otherwise those that were held for too long. If no instance waits, it suppresses
// further offers, unless a service needs to see new hosts.
func (b *Book) DeclineIdle(demand Demand, now time.Time) (do Actions) {
	var ids []mesos.OfferID
	for _, id := range slices.Sorted(maps.Keys(b.held)) {
		if until := b.held[id].Since.Add(holdOffers); demand.Unplaced && now.Before(until) {
			if do.Wake.IsZero() || until.Before(do.Wake) {
				do.Wake = until
			}
			continue
		}
		ids = append(ids, mesos.OfferID{Value: id})
		delete(b.held, id)
	}
	if len(ids) > 0 {
		b.filtered = true
		pause := refuse
		if demand.EveryHost && !demand.Unplaced {
			pause = refuseIdle
		}
		do.Calls = append(do.Calls, decline(pause, ids...))
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

// Accept uses all offers of an agent on a host to launch tasks. The master offers the
// resources that the tasks leave again later.
func (b *Book) Accept(host, agent string, tasks []mesos.TaskInfo) Actions {
	var ids []mesos.OfferID
	for _, o := range b.Of(host, agent) {
		ids = append(ids, mesos.OfferID{Value: o.ID})
		delete(b.held, o.ID)
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

// Offer is an offer that the framework holds: the resources of one agent that it may
// use now.
type Offer struct {
	ID, Agent  string
	Host       string // as the host's linker names it
	CPUs       float64
	MemBytes   int64
	Ports      []place.PortRange
	Attributes map[string]string // the agent's text attributes
	Reserved   bool              // it has resources that are reserved for a role; they are not counted
	Since      time.Time
}

// parse counts the resources that the framework may use: not the reserved and the
// revocable ones.
func parse(in mesos.Offer, now time.Time) (*Offer, error) {
	host, err := record.HostName(in.Hostname)
	if err != nil {
		return nil, err
	}
	o := &Offer{ID: in.ID.Value, Agent: in.AgentID.Value, Host: host, Attributes: attributes(in.Attributes), Since: now}
	for _, r := range in.Resources {
		switch {
		case r.Reservation != nil || len(r.Reservations) > 0 || r.GetRole() != "*" && r.GetRole() != "":
			o.Reserved = true
		case r.Revocable == nil:
			o.add(r)
		}
	}
	return o, nil
}

func (o *Offer) add(r mesos.Resource) {
	switch r.Name {
	case "cpus":
		o.CPUs += r.GetScalar().GetValue()
	case "mem":
		o.MemBytes += int64(r.GetScalar().GetValue() * (1 << 20))
	case "ports":
		for _, span := range r.GetRanges().GetRange() {
			o.Ports = append(o.Ports, place.PortRange{First: uint16(span.Begin), Last: uint16(min(span.End, 65535))})
		}
	}
}

func attributes(in []mesos.Attribute) map[string]string {
	out := map[string]string{}
	for _, a := range in {
		if a.Text != nil {
			out[a.Name] = a.Text.Value
		}
	}
	return out
}
