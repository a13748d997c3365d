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
	// What a real master does not offer less than: one of them must be there.
	minOfferCPUs = 0.01
	minOfferMem  = 32
	// defaultRefuse is how long a refusal lasts that does not say.
	defaultRefuse = 5 * time.Second
	maxRefuse     = 365 * 24 * time.Hour
)

// offer is what a framework holds and may use.
type offer struct {
	id        string
	framework *framework
	agent     *agent
	role      string
	resources mesos.Resources // with allocation_info
}

// filter is a refusal: no more than these resources of an agent are offered until
// it ends.
type filter struct {
	role      string
	resources mesos.Resources // without allocation_info
	until     time.Time
}

// free is what of an agent is neither used nor offered.
func (m *Master) free(a *agent) mesos.Resources {
	rest := mesos.Resources(a.info.Resources).Clone()
	for _, t := range a.tasks {
		if !local.IsTerminal(t.state) {
			rest.Subtract(t.resources...)
		}
	}
	for _, o := range m.offers {
		if o.agent == a {
			rest.Subtract(o.resources.Clone().Unallocate()...)
		}
	}
	for i := range rest {
		if x := rest[i].Scalar; x != nil {
			x.Value = math.Round(x.Value*1000) / 1000 // Mesos counts in thousandths
		}
	}
	return rest
}

func worthOffering(rs mesos.Resources) bool {
	cpus, _ := resources.CPUs(rs...)
	mem, _ := resources.Memory(rs...)
	return cpus >= minOfferCPUs || mem >= minOfferMem
}

// freed plans a batch for what came back of an agent.
func (m *Master) freed(a *agent) {
	m.dirty[a] = true
	if m.batch == nil {
		m.batch = m.timers.after(m.config.allocationInterval, m.runBatch)
	}
}

func (m *Master) runBatch() {
	m.timers.stop(m.batch)
	m.batch = nil
	agents := slices.Collect(maps.Keys(m.dirty))
	clear(m.dirty)
	m.allocate(agents)
}

func (m *Master) allocateAll() {
	m.allocate(slices.Collect(maps.Values(m.agents)))
}

// allocate offers what is free on agents, one framework for each agent: the one
// that holds the least processors, then the one that was served less often.
func (m *Master) allocate(agents []*agent) {
	slices.SortFunc(agents, func(a, b *agent) int { return cmp.Compare(a.id, b.id) })
	held := m.heldCPUs()
	batches := map[*framework][]mesos.Offer{}
	for _, a := range agents {
		if a.port == nil || a.inactive {
			continue
		}
		rest := m.free(a)
		if !worthOffering(rest) {
			continue
		}
		f, role := m.taker(a, rest, held)
		if f == nil {
			continue
		}
		o := m.newOffer(f, a, role, rest)
		batches[f] = append(batches[f], o.message())
		cpus, _ := resources.CPUs(rest...)
		held[f] += cpus
		f.served++
	}
	for f, offers := range batches {
		f.send(&scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: offers}})
	}
}

func (m *Master) heldCPUs() map[*framework]float64 {
	held := map[*framework]float64{}
	for _, f := range m.frameworks {
		for _, t := range f.tasks {
			cpus, _ := resources.CPUs(t.resources...)
			held[f] += cpus
		}
	}
	for _, o := range m.offers {
		cpus, _ := resources.CPUs(o.resources...)
		held[o.framework] += cpus
	}
	return held
}

// taker finds who wants rest of an agent, and in which role.
func (m *Master) taker(a *agent, rest mesos.Resources, held map[*framework]float64) (*framework, string) {
	now := time.Now()
	var best *framework
	var bestRole string
	for _, f := range m.sortedFrameworks() {
		if f.stream == nil {
			continue
		}
		for _, role := range f.roles() {
			if f.suppressed[role] || f.refuses(a, role, rest, now) {
				continue
			}
			if best == nil || cmp.Or(cmp.Compare(held[f], held[best]), cmp.Compare(f.served, best.served), cmp.Compare(role, bestRole)) < 0 {
				best, bestRole = f, role
			}
		}
	}
	return best, bestRole
}

func (m *Master) sortedFrameworks() []*framework {
	return slices.SortedFunc(maps.Values(m.frameworks), func(x, y *framework) int { return cmp.Compare(x.id, y.id) })
}

func (f *framework) refuses(a *agent, role string, rest mesos.Resources, now time.Time) bool {
	f.filters[a] = slices.DeleteFunc(f.filters[a], func(x filter) bool { return !x.until.After(now) })
	return slices.ContainsFunc(f.filters[a], func(x filter) bool {
		return x.role == role && resources.ContainsAll(x.resources, rest)
	})
}

func (m *Master) newOffer(f *framework, a *agent, role string, rest mesos.Resources) *offer {
	o := &offer{
		id: fmt.Sprintf("%s-O%d", m.info.ID, m.nextOffer), framework: f, agent: a, role: role,
		resources: rest.Clone().Allocate(role),
	}
	m.nextOffer++
	m.offers[o.id] = o
	if d := m.config.offerTimeout; d > 0 {
		m.timers.after(d, func() {
			if m.offers[o.id] == o {
				m.rescind(o)
			}
		})
	}
	return o
}

func (o *offer) message() mesos.Offer {
	role, info := o.role, o.agent.info
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
		AllocationInfo: &mesos.Resource_AllocationInfo{Role: &role},
	}
}

func (m *Master) offersOf(f *framework) []*offer {
	return m.offersWhere(func(o *offer) bool { return o.framework == f })
}

func (m *Master) offersWhere(match func(*offer) bool) []*offer {
	var found []*offer
	for _, o := range m.offers {
		if match(o) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(x, y *offer) int { return cmp.Compare(x.id, y.id) })
	return found
}

// takeBack makes an offer void without a word.
func (m *Master) takeBack(o *offer) {
	delete(m.offers, o.id)
	m.freed(o.agent)
}

// rescind makes an offer void and says so.
func (m *Master) rescind(o *offer) {
	m.takeBack(o)
	o.framework.send(&scheduler.Event{
		Type:    scheduler.Event_RESCIND,
		Rescind: &scheduler.Event_Rescind{OfferID: mesos.OfferID{Value: o.id}},
	})
}

func (m *Master) rescindOn(a *agent) {
	for _, o := range m.offersWhere(func(o *offer) bool { return o.agent == a }) {
		m.rescind(o)
	}
}

func (m *Master) decline(f *framework, c *scheduler.Call_Decline) {
	for _, id := range c.OfferIDs {
		if o := m.offers[id.Value]; o != nil && o.framework == f {
			m.takeBack(o)
			m.refuse(o, o.resources, c.Filters)
		}
	}
}

// refuse keeps resources of an offer from being offered again for a time.
func (m *Master) refuse(o *offer, rs mesos.Resources, filters *mesos.Filters) {
	d := refusal(filters)
	if d == 0 || len(rs) == 0 {
		return
	}
	d = max(d, m.config.allocationInterval) // others get a chance first
	f, a := o.framework, o.agent
	f.filters[a] = append(f.filters[a], filter{
		role: o.role, resources: rs.Clone().Unallocate(), until: time.Now().Add(d),
	})
	m.timers.after(d, func() { m.freed(a) })
}

func refusal(filters *mesos.Filters) time.Duration {
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

// revive clears refusals; no role means all.
func (m *Master) revive(f *framework, roles []string) {
	for a, filters := range f.filters {
		f.filters[a] = slices.DeleteFunc(filters, func(x filter) bool {
			return len(roles) == 0 || slices.Contains(roles, x.role)
		})
	}
	for _, role := range f.roles() {
		if len(roles) == 0 || slices.Contains(roles, role) {
			delete(f.suppressed, role)
		}
	}
	m.allocateAll()
}

// suppress stops offers; those held stay good.
func (m *Master) suppress(f *framework, roles []string) {
	for _, role := range f.roles() {
		if len(roles) == 0 || slices.Contains(roles, role) {
			f.suppressed[role] = true
		}
	}
}
