package frameworktest

import (
	"fmt"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// offer is a part of a host's free resources that the framework may use now.
type offer struct {
	host   *host
	cpus   float64
	memory float64
	since  time.Time
}

// Offers returns for how long the offers that are over were held: added up, and the longest.
func (c *Cluster) Offers() (held, longest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.master.held, c.master.longest
}

// FailCalls makes all calls fail for a time.
func (c *Cluster) FailCalls(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.master.failing = time.Now().Add(d)
}

// RefuseAccepts makes the master answer every ACCEPT with 400, or not any more.
func (c *Cluster) RefuseAccepts(refuse bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.master.refusing = refuse
}

// Occupy makes another framework use resources of a host, or give them back if cpus is
// negative. Offers with these resources are rescinded.
func (c *Cluster) Occupy(name string, cpus float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	h.cpus -= cpus
	if cpus > 0 {
		c.master.rescindOffers(h)
	}
	c.master.offer()
}

// offer offers all resources that are free, not offered and not filtered.
func (m *master) offer() {
	if m.session == nil || m.suppressed || m.down {
		return
	}
	var list []mesos.Offer
	for _, h := range m.c.sorted() {
		cpus, memory := h.free()
		if !h.joined || h.offers > 0 || time.Now().Before(h.filtered) || cpus < 0.01 || memory < 32 {
			continue
		}
		parts := max(m.c.options.Split, 1)
		for range parts {
			list = append(list, m.newOffer(h, cpus/float64(parts), memory/float64(parts)))
		}
	}
	if len(list) > 0 {
		m.send(scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: list}})
	}
}

func (m *master) newOffer(h *host, cpus, memory float64) mesos.Offer {
	id := fmt.Sprintf("O%d", m.c.next())
	m.offers[id] = &offer{h, cpus, memory, time.Now()}
	h.offers++
	if m.c.chance(m.c.options.Rescind, "rescind "+h.name) {
		m.c.after(time.Second, func() { m.rescind(id); m.offer() })
	}
	return mesos.Offer{
		ID: mesos.OfferID{Value: id}, AgentID: mesos.AgentID{Value: h.agent}, Hostname: fullName(h.name),
		FrameworkID: mesos.FrameworkID{Value: m.framework}, Resources: resources(cpus, memory),
		Attributes: h.attributes,
	}
}

// rescind takes an offer back, if it is still out.
func (m *master) rescind(id string) {
	if m.end(id) != nil {
		m.send(scheduler.Event{Type: scheduler.Event_RESCIND, Rescind: &scheduler.Event_Rescind{OfferID: mesos.OfferID{Value: id}}})
	}
}

func (m *master) rescindOffers(h *host) {
	for _, id := range m.offersOf(h) {
		m.rescind(id)
	}
}

func (m *master) offersOf(h *host) (ids []string) {
	for id, o := range m.offers {
		if o.host == h {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// end forgets an offer, which it returns; nil: it was over already.
func (m *master) end(id string) *offer {
	o := m.offers[id]
	if o == nil {
		return nil
	}
	held := time.Since(o.since)
	m.held, m.longest = m.held+held, max(m.longest, held)
	o.host.offers--
	delete(m.offers, id)
	return o
}

// voidOffers ends all offers with the session in which they were made.
func (m *master) voidOffers() {
	for id := range m.offers {
		m.end(id)
	}
}

func (m *master) refuse(ids []mesos.OfferID, filters *mesos.Filters) {
	d := 5 * time.Second
	if filters != nil && filters.RefuseSeconds != nil {
		d = time.Duration(*filters.RefuseSeconds * float64(time.Second))
	}
	for _, id := range ids {
		if o := m.end(id.Value); o != nil {
			o.host.filtered = time.Now().Add(d)
		}
	}
	m.c.after(d, m.offer)
}

// accept launches tasks. As in Mesos, all offers of a call have to be valid and of one agent,
// and a task that needs more than is left of them ends with TASK_ERROR.
func (m *master) accept(a *scheduler.Call_Accept) {
	var h *host
	var cpus, memory float64
	valid := len(a.OfferIDs) > 0
	for _, id := range a.OfferIDs {
		o := m.offers[id.Value]
		if o == nil || h != nil && o.host != h {
			valid = false
			continue
		}
		h, cpus, memory = o.host, cpus+o.cpus, memory+o.memory
	}
	for _, op := range a.Operations {
		for _, info := range op.Launch.TaskInfos {
			used, bytes := needs(info)
			cpus, memory = cpus-used, memory-bytes
			switch id := info.TaskID.Value; {
			case !valid || !h.joined:
				m.c.check(info)
				m.tell(id, info.AgentID.Value, mesos.TASK_DROPPED, mesos.REASON_INVALID_OFFERS)
			case cpus < -1e-9 || memory < -1e-9:
				m.c.violate("%s needs more than is left of the offers of its ACCEPT", id)
				m.tell(id, info.AgentID.Value, mesos.TASK_ERROR, mesos.REASON_TASK_INVALID)
			default:
				m.launch(info, h)
			}
		}
	}
	m.refuse(a.OfferIDs, a.Filters)
}

func (m *master) launch(info mesos.TaskInfo, h *host) {
	id := info.TaskID.Value
	m.c.check(info)
	if m.c.launched[id] {
		m.c.violate("task ID %s is used again", id)
	}
	m.c.launches, m.c.launched[id] = append(m.c.launches, id), true
	t := &task{c: m.c, info: info, host: h, state: mesos.TASK_STAGING, behaviour: m.c.options.Behave(info)}
	t.container = fmt.Sprintf("c%d", m.c.next())
	h.tasks[id] = t
	if m.c.chance(m.c.options.Gaps, "lose launch "+id) {
		t.absent = true
		m.c.after(agentReturns, t.missing)
		return
	}
	t.run()
}

// missing makes the agent register again, which shows the master that the launch of the task
// was lost on its way.
func (t *task) missing() {
	if t.absent && t.host.tasks[t.info.TaskID.Value] == t && !terminal(t.state) && t.host.joined {
		delete(t.host.tasks, t.info.TaskID.Value)
		t.c.master.tell(t.info.TaskID.Value, t.host.agent, mesos.TASK_DROPPED, mesos.REASON_RECONCILIATION)
	}
}
