package master

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/framework/mesos/wire"
	"tombolo/internal/state"
)

// maxRemembered is how many IDs the file keeps at most of removed frameworks, of departed
// agents, and of agents that are gone.
const maxRemembered = 1000

// registry knows which frameworks and agents exist, and which IDs are not valid any more.
// It stores them for the next master.
type registry struct {
	path     string // of the file; empty: nothing is stored
	masterID string // the first part of every new ID
	log      *slog.Logger

	frameworks map[string]*framework // by ID
	removed    map[string]bool       // IDs of frameworks
	agents     map[string]*agent     // by ID
	connected  map[local.Agent]*agent
	departed   map[string]bool // IDs of agents that unregistered
	gone       map[string]bool // IDs of agents that an operator marked gone
	nextID     int             // of a framework or an agent
}

// savedState is the file. It has no tasks: the agents report theirs when they register
// again.
type savedState struct {
	Frameworks []savedFramework `json:"frameworks"`
	Removed    []string         `json:"removed_frameworks,omitempty"`
	Agents     []savedAgent     `json:"agents"`
	Departed   []string         `json:"departed_agents,omitempty"`
	Gone       []string         `json:"gone_agents,omitempty"`
}

// savedFramework is a FrameworkInfo with its ID, in the JSON of Mesos.
type savedFramework struct{ info mesos.FrameworkInfo }

func (f savedFramework) MarshalJSON() ([]byte, error) { return wire.Marshal(&f.info) }

func (f *savedFramework) UnmarshalJSON(data []byte) error { return wire.Unmarshal(data, &f.info) }

type savedAgent struct {
	ID       string `json:"id"`
	Hostname string `json:"hostname"`
	Inactive bool   `json:"inactive,omitempty"`
}

// openRegistry reads what an earlier master stored in dir. All its frameworks and
// agents start as disconnected. With an empty dir the registry stores nothing.
func openRegistry(dir, masterID string, log *slog.Logger) (*registry, error) {
	r := &registry{
		masterID: masterID, log: log,
		frameworks: map[string]*framework{}, agents: map[string]*agent{}, connected: map[local.Agent]*agent{},
		removed: map[string]bool{}, departed: map[string]bool{}, gone: map[string]bool{},
	}
	if dir == "" {
		return r, nil
	}
	r.path = filepath.Join(dir, "master.json")
	var saved savedState
	switch err := state.Load(r.path, &saved); {
	case errors.Is(err, state.ErrBroken):
		log.Error("the master's state is lost: frameworks and agents are new to it", "err", err)
		return r, nil
	case err != nil:
		return nil, err
	}
	r.removed, r.departed, r.gone = set(saved.Removed), set(saved.Departed), set(saved.Gone)
	for _, f := range saved.Frameworks {
		r.addFramework(f.info)
	}
	for _, s := range saved.Agents {
		a := r.addAgent(s.ID)
		a.info.Hostname, a.inactive = s.Hostname, s.Inactive
	}
	return r, nil
}

// save stores the registry. It only logs an error, because the running master does not
// need the file.
func (r *registry) save() {
	if r.path == "" {
		return
	}
	saved := savedState{Removed: remembered(r.removed), Departed: remembered(r.departed), Gone: remembered(r.gone)}
	for _, f := range r.sortedFrameworks() {
		saved.Frameworks = append(saved.Frameworks, savedFramework{f.info})
	}
	for _, id := range slices.Sorted(maps.Keys(r.agents)) {
		a := r.agents[id]
		saved.Agents = append(saved.Agents, savedAgent{ID: id, Hostname: a.info.Hostname, Inactive: a.inactive})
	}
	if err := state.Save(r.path, saved, true); err != nil {
		r.log.Error("the master's state is not stored", "err", err)
	}
}

func remembered(ids map[string]bool) []string {
	sorted := slices.Sorted(maps.Keys(ids))
	return sorted[max(0, len(sorted)-maxRemembered):]
}

// addFramework adds a framework, under a new ID if info has none.
func (r *registry) addFramework(info mesos.FrameworkInfo) *framework {
	id := info.GetID().GetValue()
	if id == "" {
		id = fmt.Sprintf("%s-%04d", r.masterID, r.nextID)
		r.nextID++
	}
	f := &framework{id: id, info: info, tasks: map[string]*task{}, filters: map[*agent][]filter{}}
	f.info.ID = &mesos.FrameworkID{Value: id}
	r.frameworks[id] = f
	return f
}

// addAgent adds an agent. It gets a new ID if id is empty or belongs to a gone agent.
func (r *registry) addAgent(id string) *agent {
	if id == "" || r.isGone(id) {
		id = fmt.Sprintf("%s-S%d", r.masterID, r.nextID)
		r.nextID++
	}
	a := &agent{id: id, tasks: map[local.TaskRef]*task{}, lost: map[string]map[string]*task{}}
	r.agents[id] = a
	return a
}

// isGone reports whether the agent with this ID has departed or was marked gone.
func (r *registry) isGone(agentID string) bool { return r.departed[agentID] || r.gone[agentID] }

func (r *registry) sortedFrameworks() []*framework {
	return slices.SortedFunc(maps.Values(r.frameworks), func(x, y *framework) int { return cmp.Compare(x.id, y.id) })
}

// recovering reports whether agents of the last master may still come back.
func (r *registry) recovering() bool {
	for _, a := range r.agents {
		if !a.registered && a.unreachable == nil {
			return true
		}
	}
	return false
}

func set(items []string) map[string]bool {
	s := map[string]bool{}
	for _, i := range items {
		s[i] = true
	}
	return s
}
