package master

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

const (
	// Like Apache Mesos, the allocator offers resources only if they have at least
	// this much of one of the two.
	minOfferCPUs = 0.01
	minOfferMem  = 32 // MiB
	// defaultRefuse is how long a DECLINE or ACCEPT without refuse_seconds keeps the
	// unused resources from the framework.
	defaultRefuse = 5 * time.Second
	maxRefuse     = 365 * 24 * time.Hour
)

// offer is a part of an agent's resources that a framework may use.
type offer struct {
	id        string
	framework *framework
	agent     *agent
	role      string
	resources mesos.Resources // with allocation_info
}

// filter keeps resources of an agent from a framework: offers in role that have no more
// than these resources.
type filter struct {
	role      string
	resources mesos.Resources // without allocation_info
	until     time.Time
}

// allocator decides which framework is offered which resources.
type allocator struct {
	interval     time.Duration // how long returned resources wait for others
	offerTimeout time.Duration // zero: offers do not expire
	loop         *loop
	registry     *registry

	offers    map[string]*offer // by ID
	nextOffer int
	returned  map[*agent]bool // agents whose resources the next batch offers
	batch     *timer          // offers them; nil: no batch is planned
}

func newAllocator(config Config, l *loop, r *registry) *allocator {
	return &allocator{
		interval: config.allocationInterval, offerTimeout: config.offerTimeout, loop: l, registry: r,
		offers: map[string]*offer{}, returned: map[*agent]bool{},
	}
}

// offerSoon plans to offer the free resources of an agent with the next batch.
func (al *allocator) offerSoon(a *agent) {
	al.returned[a] = true
	if al.batch == nil {
		al.batch = al.loop.after(al.interval, al.runBatch)
	}
}

func (al *allocator) runBatch() {
	al.batch.stop()
	al.batch = nil
	agents := slices.Collect(maps.Keys(al.returned))
	clear(al.returned)
	al.allocate(agents)
}

func (al *allocator) allocateAll() {
	al.allocate(slices.Collect(maps.Values(al.registry.agents)))
}

// allocate offers the free resources of agents. All resources of one agent go to one
// framework.
func (al *allocator) allocate(agents []*agent) {
	slices.SortFunc(agents, func(a, b *agent) int { return cmp.Compare(a.id, b.id) })
	held := al.heldCPUs()
	batches := map[*framework][]mesos.Offer{}
	for _, a := range agents {
		if a.conn == nil || a.inactive {
			continue
		}
		free := al.free(a)
		cpus, _ := resources.CPUs(free...)
		mem, _ := resources.Memory(free...)
		if cpus < minOfferCPUs && mem < minOfferMem {
			continue
		}
		f, role := al.choose(a, free, held)
		if f == nil {
			continue
		}
		batches[f] = append(batches[f], al.add(f, a, role, free).message())
		held[f] += cpus
		f.served++
	}
	for f, offers := range batches {
		f.send(&scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: offers}})
	}
}

// free returns the resources of an agent that are neither used nor offered.
func (al *allocator) free(a *agent) mesos.Resources {
	rest := mesos.Resources(a.info.Resources).Clone()
	for _, t := range a.tasks {
		if !local.IsTerminal(t.state) {
			rest.Subtract(t.resources...)
		}
	}
	for _, o := range al.offers {
		if o.agent == a {
			rest.Subtract(o.resources.Clone().Unallocate()...)
		}
	}
	for i := range rest {
		if scalar := rest[i].Scalar; scalar != nil {
			scalar.Value = math.Round(scalar.Value*1000) / 1000 // Mesos counts in thousandths
		}
	}
	return rest
}

// heldCPUs returns how many CPUs each framework uses or is offered.
func (al *allocator) heldCPUs() map[*framework]float64 {
	held := map[*framework]float64{}
	for _, f := range al.registry.frameworks {
		for _, t := range f.tasks {
			cpus, _ := resources.CPUs(t.resources...)
			held[f] += cpus
		}
	}
	for _, o := range al.offers {
		cpus, _ := resources.CPUs(o.resources...)
		held[o.framework] += cpus
	}
	return held
}

// choose returns the framework that is offered an agent's free resources, and the role:
// among those that want them the one that holds the fewest CPUs, then the one that got
// the fewest offers. It returns nil if nobody wants them.
func (al *allocator) choose(a *agent, free mesos.Resources, held map[*framework]float64) (best *framework, bestRole string) {
	now := time.Now()
	for _, f := range al.registry.sortedFrameworks() {
		if f.stream == nil {
			continue
		}
		for _, role := range f.roles() {
			if f.suppressed[role] || f.rejects(a, role, free, now) {
				continue
			}
			if best == nil || cmp.Or(cmp.Compare(held[f], held[best]), cmp.Compare(f.served, best.served), cmp.Compare(role, bestRole)) < 0 {
				best, bestRole = f, role
			}
		}
	}
	return best, bestRole
}

func (al *allocator) add(f *framework, a *agent, role string, rs mesos.Resources) *offer {
	o := &offer{
		id: fmt.Sprintf("%s-O%d", al.registry.masterID, al.nextOffer), framework: f, agent: a, role: role,
		resources: rs.Clone().Allocate(role),
	}
	al.nextOffer++
	al.offers[o.id] = o
	if al.offerTimeout > 0 {
		al.loop.after(al.offerTimeout, func() {
			if al.offers[o.id] == o {
				al.rescind(o)
			}
		})
	}
	return o
}

func (o *offer) message() mesos.Offer {
	info := o.agent.info
	rs := o.resources.Clone()
	for i := range rs {
		rs[i].Role = new("*")
	}
	host := cmp.Or(info.Hostname, o.agent.id)
	return mesos.Offer{
		ID:          mesos.OfferID{Value: o.id},
		FrameworkID: mesos.FrameworkID{Value: o.framework.id},
		AgentID:     o.agent.agentID(),
		Hostname:    host,
		URL: &mesos.URL{
			Scheme:  "http",
			Address: mesos.Address{Hostname: &host, IP: &host, Port: info.GetPort()},
			Path:    new("/slave(1)"),
		},
		Resources:      rs,
		Attributes:     info.Attributes,
		AllocationInfo: &mesos.Resource_AllocationInfo{Role: new(o.role)},
	}
}

// find returns an offer that a framework holds, or nil.
func (al *allocator) find(f *framework, id mesos.OfferID) *offer {
	if o := al.offers[id.Value]; o != nil && o.framework == f {
		return o
	}
	return nil
}

// of returns the offers that a framework holds.
func (al *allocator) of(f *framework) []*offer {
	return al.where(func(o *offer) bool { return o.framework == f })
}

func (al *allocator) where(match func(*offer) bool) []*offer {
	var found []*offer
	for _, o := range al.offers {
		if match(o) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(x, y *offer) int { return cmp.Compare(x.id, y.id) })
	return found
}

// remove ends an offer without telling the framework, which used or returned it.
func (al *allocator) remove(o *offer) {
	delete(al.offers, o.id)
	al.offerSoon(o.agent)
}

// rescind ends an offer and tells the framework.
func (al *allocator) rescind(o *offer) {
	al.remove(o)
	o.framework.send(&scheduler.Event{
		Type:    scheduler.Event_RESCIND,
		Rescind: &scheduler.Event_Rescind{OfferID: mesos.OfferID{Value: o.id}},
	})
}

// rescindAll rescinds all offers of an agent.
func (al *allocator) rescindAll(a *agent) {
	for _, o := range al.where(func(o *offer) bool { return o.agent == a }) {
		al.rescind(o)
	}
}

func (al *allocator) decline(f *framework, c *scheduler.Call_Decline) {
	for _, id := range c.OfferIDs {
		if o := al.find(f, id); o != nil {
			al.remove(o)
			al.refuse(o, o.resources, c.Filters)
		}
	}
}

// refuse keeps resources of an offer from its framework for as long as filters say.
func (al *allocator) refuse(o *offer, rs mesos.Resources, filters *mesos.Filters) {
	d := refuseDuration(filters)
	if d == 0 || len(rs) == 0 {
		return
	}
	d = max(d, al.interval) // other frameworks are offered them first
	f, a := o.framework, o.agent
	f.filters[a] = append(f.filters[a], filter{
		role: o.role, resources: rs.Clone().Unallocate(), until: time.Now().Add(d),
	})
	al.loop.after(d, func() { al.offerSoon(a) })
}

func refuseDuration(filters *mesos.Filters) time.Duration {
	if filters == nil || filters.RefuseSeconds == nil {
		return defaultRefuse
	}
	switch s := *filters.RefuseSeconds; {
	case math.IsNaN(s) || s < 0:
		return defaultRefuse
	case s > maxRefuse.Seconds():
		return maxRefuse
	default:
		return time.Duration(s * float64(time.Second))
	}
}
