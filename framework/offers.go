package framework

import (
	"maps"
	"math"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/place"
	"tombolo/linker/record"
)

// host is a host as it is known.
type host struct {
	name       string
	agent      string // its agent's ID; "" while it has none
	attributes map[string]string
	reserves   bool // it has offered resources that are reserved
	// What it last offered, less what was used of that since: for those who ask
	// while no offer is out.
	cpus   float64
	memory int64
}

// offer is an outstanding offer.
type offer struct {
	id, agent, host string
	cpus            float64
	memory          int64
	ports           []place.PortRange
	since           time.Time
}

// market is the state of our bargaining with the master.
type market struct {
	suppressed bool // it makes no offers
	filtered   bool // it leaves out some that we refused
	wanting    map[instance]bool
	since      time.Time // when something new was wanted
}

func (f *Framework) host(name string) *host {
	h := f.hosts[name]
	if h == nil {
		h = &host{name: name}
		f.hosts[name] = h
	}
	return h
}

// offered takes note of an offer. The agent's host goes by the name that its linker
// has. Reserved, revocable and disk-bound resources are not ours to use.
func (f *Framework) offered(in mesos.Offer, now time.Time) {
	name, err := record.HostName(in.Hostname)
	if err != nil {
		f.Log.Warn("offer declined: no linker can have this name", "agent", in.AgentID.Value, "err", err)
		f.call(calls.Decline(in.ID).With(calls.RefuseSeconds(refuseNameless)))
		return
	}
	o := &offer{id: in.ID.Value, agent: in.AgentID.Value, host: name, since: now}
	reserved := false
	for _, r := range in.Resources {
		if r.Reservation != nil || len(r.Reservations) > 0 || r.GetRole() != "*" && r.GetRole() != "" {
			reserved = true
			continue
		}
		if r.Revocable != nil {
			continue
		}
		switch r.Name {
		case "cpus":
			o.cpus += r.GetScalar().GetValue()
		case "mem":
			o.memory += int64(r.GetScalar().GetValue() * (1 << 20))
		case "ports":
			for _, span := range r.GetRanges().GetRange() {
				o.ports = append(o.ports, place.PortRange{First: uint16(span.Begin), Last: uint16(min(span.End, 65535))})
			}
		}
	}
	h := f.host(name)
	if reserved && !h.reserves {
		f.Log.Warn("resources that are reserved for a role are not used", "host", name)
	}
	h.reserves = reserved
	h.agent, h.attributes = o.agent, attributes(in.Attributes)
	f.offers[o.id] = o
	h.cpus, h.memory = 0, 0
	for _, o := range f.offersOf(h.name) {
		h.cpus += o.cpus
		h.memory += o.memory
	}
}

// thousandths rounds CPUs to what Mesos counts in.
func thousandths(cpus float64) float64 { return math.Round(cpus*1000) / 1000 }

func attributes(in []mesos.Attribute) map[string]string {
	out := map[string]string{}
	for _, a := range in {
		if a.Text != nil {
			out[a.Name] = a.Text.Value
		}
	}
	return out
}

func (f *Framework) rescinded(id string) { delete(f.offers, id) }

func (f *Framework) dropOffers() {
	clear(f.offers)
	for _, h := range f.hosts {
		h.agent = ""
	}
}

// offersOf returns a host's offers by their age.
func (f *Framework) offersOf(name string) []*offer {
	var list []*offer
	for _, id := range slices.Sorted(maps.Keys(f.offers)) {
		if o := f.offers[id]; o.host == name && o.agent == f.hosts[name].agent {
			list = append(list, o)
		}
	}
	return list
}

// seek makes the market give what new launches need, and reports whether offers
// have come from everywhere where they are to be expected, or been waited for.
func (f *Framework) seek(launches []launch, now time.Time) bool {
	wanting := map[instance]bool{}
	fresh := false
	for _, l := range launches {
		wanting[l.instance()] = true
		fresh = fresh || !f.market.wanting[l.instance()]
	}
	f.market.wanting = wanting
	if fresh {
		f.market.since = now
		if f.market.suppressed || f.market.filtered {
			f.market.suppressed, f.market.filtered = false, false
			f.call(calls.Revive())
		}
	}
	gathered := f.market.since.Add(gatherWait)
	if !now.Before(gathered) || f.everybodyOffers() {
		return true
	}
	f.wakeAt(gathered)
	return false
}

func (f *Framework) everybodyOffers() bool {
	offering := map[string]bool{}
	for _, o := range f.offers {
		offering[o.host] = true
	}
	for name, h := range f.hosts {
		if !offering[name] && f.problem(h) == "" {
			return false
		}
	}
	return len(offering) > 0
}

// giveBack declines what lies idle: everything when nothing is wanted, else what
// has not fitted for a while. Then it wants no offers, unless one may come from a
// host that a service of every host has yet to reach.
func (f *Framework) giveBack(wanted bool, now time.Time) {
	everywhere := f.global()
	pause := refuse
	if everywhere && !wanted {
		pause = refuseIdle
	}
	var ids []mesos.OfferID
	for _, id := range slices.Sorted(maps.Keys(f.offers)) {
		until := f.offers[id].since.Add(holdOffers)
		if wanted && now.Before(until) {
			f.wakeAt(until)
			continue
		}
		ids = append(ids, mesos.OfferID{Value: id})
		delete(f.offers, id)
	}
	if len(ids) > 0 {
		f.market.filtered = true
		f.call(calls.Decline(ids...).With(calls.RefuseSeconds(pause)))
	}
	switch {
	case wanted || !f.connected:
	case everywhere && f.market.suppressed:
		f.market.suppressed, f.market.filtered = false, false
		f.call(calls.Revive())
	case !everywhere && !f.market.suppressed:
		f.market.suppressed = true
		f.call(calls.Suppress())
	}
	if !wanted {
		f.market.wanting = nil
	}
}

// global reports whether any service is to be on every host.
func (f *Framework) global() bool {
	for _, d := range f.apps {
		for _, s := range d.App.App.Services {
			if s.Global && !d.Removing {
				return true
			}
		}
	}
	return false
}

// accept uses all offers of a host for tasks. What they leave comes back.
func (f *Framework) accept(name string, tasks []mesos.TaskInfo) {
	var ids []mesos.OfferID
	for _, o := range f.offersOf(name) {
		ids = append(ids, mesos.OfferID{Value: o.id})
		delete(f.offers, o.id)
	}
	f.market.filtered = true
	f.call((&scheduler.Call{
		Type: scheduler.Call_ACCEPT,
		Accept: &scheduler.Call_Accept{
			OfferIDs:   ids,
			Operations: []mesos.Offer_Operation{calls.OpLaunch(tasks...)},
		},
	}).With(calls.RefuseSeconds(refuse)))
}
