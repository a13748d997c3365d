package frameworktest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/internal/wake"
	linker "tombolo/linker/api"
	"tombolo/linker/record"
)

// Behaviour says what a task's container does.
type Behaviour struct {
	Pull      string        // why its image cannot be pulled; "": it can
	Start     time.Duration // until it runs
	Healthy   time.Duration // from then until its health check passes; 0: it has no health check
	Unhealthy time.Duration // from then until its health check fails for good; 0: never
	Run       time.Duration // from then until it ends by itself; 0: never
	Exit      int           // its status when it ends by itself
	Stop      time.Duration // from a KILL to its end
}

// Options describe a cluster.
type Options struct {
	Hosts     []string
	CPUs      float64       // of each host; 0: 4
	MemBytes  int64         // of each host; 0: 4 GiB
	Seed      uint64        // of everything that happens by chance
	Partition time.Duration // after which the master gives up an agent that is away; 0: 10 s
	// Behave returns what a task does; nil: it starts in 200 ms and runs for ever.
	Behave func(mesos.TaskInfo) Behaviour
	Loss   float64 // the probability that a call fails, in half of the cases after it had its effect
	Repeat float64 // the probability that an update comes twice
}

// Cluster is a master, its agents and linkers. Any goroutine may call its methods.
type Cluster struct {
	options  Options
	catalogs wake.Broadcast // the catalog or the output of a container has changed

	mu         sync.Mutex
	random     *rand.Rand
	hosts      map[string]*host
	offers     map[string]*offer
	session    *session // nil: no framework is subscribed
	framework  string
	removed    map[string]bool // framework IDs
	frameworks int             // IDs given
	suppressed bool
	masterDown bool
	count      int             // of offers, containers and updates
	forbidden  map[string]bool // apps
	violations []string
	launches   []string // task IDs
	index      uint64   // of the catalog
	apps       map[string]record.Record
}

type host struct {
	name      string
	agent     string
	cpus      float64
	memory    float64 // MiB
	tasks     map[string]*task
	joined    bool // its agent is registered with the master
	alive     bool
	reachable bool      // the network leads to it
	linker    bool      // its linker runs
	lost      bool      // the master has given it up
	filtered  time.Time // the master makes no offers of it before
	away      *time.Timer
}

type task struct {
	info      mesos.TaskInfo
	host      *host
	container string
	state     mesos.TaskState
	started   time.Time
	running   bool
	health    record.Health
	output    []linker.LogLine
	lost      bool               // it was given up with its host once
	pending   []mesos.TaskStatus // updates that are not acknowledged
	behaviour Behaviour
}

type offer struct {
	host   *host
	cpus   float64
	memory float64
}

// New returns a cluster that does nothing before a Client runs.
func New(options Options) *Cluster {
	options.CPUs = cmp.Or(options.CPUs, 4)
	options.MemBytes = cmp.Or(options.MemBytes, 4<<30)
	options.Partition = cmp.Or(options.Partition, 10*time.Second)
	if options.Behave == nil {
		options.Behave = func(mesos.TaskInfo) Behaviour { return Behaviour{Start: 200 * time.Millisecond} }
	}
	c := &Cluster{
		options: options, random: rand.New(rand.NewPCG(options.Seed, 1)),
		hosts: map[string]*host{}, offers: map[string]*offer{}, removed: map[string]bool{},
		forbidden: map[string]bool{}, apps: map[string]record.Record{},
	}
	for i, name := range options.Hosts {
		c.hosts[name] = &host{
			name: name, agent: fmt.Sprintf("S%d", i), cpus: options.CPUs,
			memory: float64(options.MemBytes) / (1 << 20), tasks: map[string]*task{},
			joined: true, alive: true, reachable: true, linker: true,
		}
	}
	return c
}

// Violations returns everything that the framework did and must never do.
func (c *Cluster) Violations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.violations)
}

// Launches returns the IDs of all tasks launched so far, in order.
func (c *Cluster) Launches() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.launches)
}

// Forbid makes launches for an app violations, or allows them again.
func (c *Cluster) Forbid(app string, forbid bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forbidden[app] = forbid
}

// Running returns the tasks whose containers run, as task ID -> host.
func (c *Cluster) Running() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]string{}
	for _, h := range c.hosts {
		for id, t := range h.tasks {
			if h.alive && t.running {
				out[id] = h.name
			}
		}
	}
	return out
}

func (c *Cluster) next() int {
	c.count++
	return c.count
}

func (c *Cluster) after(d time.Duration, fn func()) *time.Timer {
	return time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		fn()
	})
}

func (c *Cluster) sorted() []*host {
	return slices.SortedFunc(maps.Values(c.hosts), func(a, b *host) int { return cmp.Compare(a.name, b.name) })
}

// send queues an event for the present subscription, if there is one.
func (c *Cluster) send(e scheduler.Event) {
	if c.session != nil && !c.masterDown {
		c.session.events.Put(sessionEvent{event: e})
	}
}

// offer offers all resources that are free, not offered and not filtered.
func (c *Cluster) offer() {
	if c.session == nil || c.suppressed || c.masterDown {
		return
	}
	var list []mesos.Offer
	for _, h := range c.sorted() {
		cpus, memory := h.free()
		if !h.joined || c.offered(h) || time.Now().Before(h.filtered) || cpus < 0.01 || memory < 32 {
			continue
		}
		id := fmt.Sprintf("O%d", c.next())
		c.offers[id] = &offer{h, cpus, memory}
		list = append(list, mesos.Offer{
			ID: mesos.OfferID{Value: id}, AgentID: mesos.AgentID{Value: h.agent}, Hostname: fullName(h.name),
			FrameworkID: mesos.FrameworkID{Value: c.framework}, Resources: resources(cpus, memory),
		})
	}
	if len(list) > 0 {
		c.send(scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: list}})
	}
}

// fullName returns the name with which the agent of a host offers. Linkers use host.
func fullName(host string) string { return strings.ToUpper(host) + ".example.com" }

func (c *Cluster) offered(h *host) bool {
	for _, o := range c.offers {
		if o.host == h {
			return true
		}
	}
	return false
}

func resources(cpus, memory float64) []mesos.Resource {
	return []mesos.Resource{
		{Name: "cpus", Type: new(mesos.SCALAR), Scalar: &mesos.Value_Scalar{Value: cpus}},
		{Name: "mem", Type: new(mesos.SCALAR), Scalar: &mesos.Value_Scalar{Value: memory}},
	}
}

func (h *host) free() (cpus, memory float64) {
	cpus, memory = h.cpus, h.memory
	for _, t := range h.tasks {
		if !terminal(t.state) {
			used, bytes := needs(t.info)
			cpus, memory = cpus-used, memory-bytes
		}
	}
	return cpus, memory
}

func needs(info mesos.TaskInfo) (cpus, memory float64) {
	for _, r := range info.Resources {
		switch r.Name {
		case "cpus":
			cpus += r.GetScalar().GetValue()
		case "mem":
			memory += r.GetScalar().GetValue()
		}
	}
	return cpus, memory
}

func terminal(s mesos.TaskState) bool {
	switch s {
	case mesos.TASK_FINISHED, mesos.TASK_FAILED, mesos.TASK_KILLED, mesos.TASK_ERROR, mesos.TASK_GONE:
		return true
	}
	return false
}
