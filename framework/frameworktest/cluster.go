package frameworktest

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

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
	Last      string        // a line that it prints besides, last
	Stop      time.Duration // from a KILL to its end
	Drop      string        // why its agent does not run it (TASK_DROPPED); "": it does
	Check     string        // what its health check prints when it fails
}

// Options describe a cluster.
type Options struct {
	Hosts    []string
	CPUs     float64 // of each host; 0: 4
	MemBytes int64   // of each host; 0: 4 GiB
	Seed     uint64  // of everything that happens by chance
	// Behave returns what a task does; nil: it starts in 200 ms and runs for ever.
	Behave func(mesos.TaskInfo) Behaviour
	Loss   float64       // the probability that a call fails, in half of the cases after it had its effect
	Repeat float64       // the probability that an update comes twice
	Late   time.Duration // at most so long does a call take until the master has it
	// Split is the number of offers in which a host offers its resources; 0: one.
	Split int
	// Rescind is the probability that the master takes an offer back after a second.
	Rescind float64
	// Attributes are those of every agent.
	Attributes []mesos.Attribute
	// Killing makes agents report TASK_KILLING before the end of a task that is killed.
	Killing bool
	// Slow is the longest time that an update takes from an agent to the framework.
	Slow time.Duration
	// Gaps is the probability that a launch, a KILL or an update is lost between the master and
	// an agent. Agents repeat updates, and report a launch that they did not get after a while.
	Gaps float64
	// Exclusive reports whether no other task may start beside a lost one of its slot. Nil: never.
	Exclusive func(mesos.TaskInfo) bool
	// Stored reports whether a task was ever in the framework's store. To launch another one is a
	// violation. Nil: nobody knows.
	Stored func(id string) bool
}

// Cluster is a master, its agents and linkers. Any goroutine may call its methods.
type Cluster struct {
	options  Options
	catalogs wake.Broadcast // the catalog or the output of a container has changed

	mu         sync.Mutex
	hosts      map[string]*host
	master     master
	count      int                 // of offers, containers and updates
	calm       bool                // containers stay healthy and do not fail
	draws      map[string]uint64   // what chance has decided, by name, and how often
	forbidden  map[string][]string // apps -> tasks that may be launched nevertheless
	violations []string
	launches   []string        // task IDs
	launched   map[string]bool // the same
	index      uint64          // of the catalog
	apps       map[string]record.Record
}

type host struct {
	c          *Cluster
	name       string
	agent      string
	cpus       float64
	memory     float64 // MiB
	attributes []mesos.Attribute
	tasks      map[string]*task
	joined     bool // its agent is registered with the master
	alive      bool
	volumes    map[string]bool // that tasks have used there
	broken     bool            // its Engine answers no question about volumes
	reachable  bool            // the network leads to it
	linker     bool            // its linker runs
	troubles   []string        // what its linker tells
	lost       bool            // the master has given it up
	offers     int             // that are out
	filtered   time.Time       // the master makes no offers of it before
	away       *time.Timer
}

type task struct {
	c         *Cluster
	info      mesos.TaskInfo
	host      *host
	container string
	state     mesos.TaskState
	started   time.Time
	running   bool
	health    record.Health
	paused    bool
	output    []linker.LogLine
	lost      bool               // it was given up with its host once
	absent    bool               // its agent has never got it
	pending   []mesos.TaskStatus // updates that are not acknowledged
	behaviour Behaviour
}

// New returns a cluster that does nothing before a Client runs.
func New(options Options) *Cluster {
	options.CPUs = cmp.Or(options.CPUs, 4)
	options.MemBytes = cmp.Or(options.MemBytes, 4<<30)
	if options.Behave == nil {
		options.Behave = func(mesos.TaskInfo) Behaviour { return Behaviour{Start: 200 * time.Millisecond} }
	}
	c := &Cluster{
		options: options, draws: map[string]uint64{},
		hosts: map[string]*host{}, forbidden: map[string][]string{}, launched: map[string]bool{}, apps: map[string]record.Record{},
	}
	c.master = master{c: c, offers: map[string]*offer{}, removed: map[string]bool{}}
	for i, name := range options.Hosts {
		c.hosts[name] = &host{
			c: c, name: name, agent: fmt.Sprintf("S%d", i), cpus: options.CPUs,
			memory: float64(options.MemBytes) / (1 << 20), tasks: map[string]*task{},
			attributes: options.Attributes, joined: true, alive: true, reachable: true, linker: true,
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

// Forbid makes launches for an app violations. The tasks in stored are not: their ACCEPT may
// be on its way, and the KILL follows it.
func (c *Cluster) Forbid(app string, stored []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forbidden[app] = stored
}

// Allow makes launches for an app no violations any more.
func (c *Cluster) Allow(app string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.forbidden, app)
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

// chance reports whether something happens that has a probability. Its name and the seed decide
// it, and how often it was asked, so that other things that happen do not change it.
func (c *Cluster) chance(probability float64, name string) bool {
	return probability > 0 && c.draw(name).Float64() < probability
}

// within returns a random time below limit.
func (c *Cluster) within(limit time.Duration, name string) time.Duration {
	if limit <= 0 {
		return 0
	}
	return time.Duration(c.draw(name).Int64N(int64(limit)))
}

func (c *Cluster) draw(name string) *rand.Rand {
	c.draws[name]++
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(c.options.Seed^h.Sum64(), c.draws[name]))
}

// Infos returns the tasks whose containers run, as the framework has described them.
func (c *Cluster) Infos() map[string]mesos.TaskInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]mesos.TaskInfo{}
	for _, h := range c.hosts {
		for id, t := range h.tasks {
			if h.alive && t.running {
				out[id] = t.info
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
	return slices.Contains([]mesos.TaskState{mesos.TASK_FINISHED, mesos.TASK_FAILED, mesos.TASK_KILLED, mesos.TASK_ERROR, mesos.TASK_GONE, mesos.TASK_DROPPED}, s)
}
