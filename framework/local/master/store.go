package master

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/mesos/wire"
	"tombolo/internal/state"
)

// maxRemembered bounds how many removed frameworks, and how many agents of each kind
// that are gone, the file keeps.
const maxRemembered = 1000

// savedState is what a restarted master must know: which frameworks and agents exist.
// It has no tasks; the agents report theirs when they register again.
type savedState struct {
	Frameworks []savedFramework `json:"frameworks"`
	Removed    []string         `json:"removed_frameworks,omitempty"`
	Agents     []savedAgent     `json:"agents"`
	Departed   []string         `json:"departed_agents,omitempty"`
	Gone       []string         `json:"gone_agents,omitempty"` // marked gone by an operator
}

// savedFramework is a FrameworkInfo with its ID, in Mesos' JSON.
type savedFramework struct{ info mesos.FrameworkInfo }

func (f savedFramework) MarshalJSON() ([]byte, error) { return wire.Marshal(&f.info) }

func (f *savedFramework) UnmarshalJSON(data []byte) error { return wire.Unmarshal(data, &f.info) }

type savedAgent struct {
	ID       string `json:"id"`
	Hostname string `json:"hostname"`
	Inactive bool   `json:"inactive,omitempty"`
}

func (m *Master) stateFile() string { return filepath.Join(m.config.Dir, "master.json") }

// save writes the state. It logs an error and goes on: the state matters only to the
// next master.
func (m *Master) save() {
	if m.config.Dir == "" {
		return
	}
	saved := savedState{
		Removed: remembered(m.removed, true), Departed: remembered(m.gone, false), Gone: remembered(m.gone, true),
	}
	for _, f := range m.sortedFrameworks() {
		saved.Frameworks = append(saved.Frameworks, savedFramework{f.info})
	}
	for _, id := range slices.Sorted(maps.Keys(m.agents)) {
		a := m.agents[id]
		saved.Agents = append(saved.Agents, savedAgent{ID: id, Hostname: a.info.Hostname, Inactive: a.inactive})
	}
	err := os.MkdirAll(m.config.Dir, 0o700)
	if err == nil {
		err = state.Save(m.stateFile(), saved, true)
	}
	if err != nil {
		m.log.Error("master state not stored", "err", err)
	}
}

// remembered returns the IDs whose value is value.
func remembered(ids map[string]bool, value bool) []string {
	sorted := slices.DeleteFunc(slices.Sorted(maps.Keys(ids)), func(id string) bool { return ids[id] != value })
	return sorted[max(0, len(sorted)-maxRemembered):]
}

// restore reads the state of an earlier master. All its agents and frameworks start
// as disconnected.
func (m *Master) restore() error {
	if m.config.Dir == "" {
		return nil
	}
	var saved savedState
	switch err := state.Load(m.stateFile(), &saved); {
	case errors.Is(err, state.ErrBroken):
		m.log.Error("the master's state is lost: frameworks and agents are new to it", "err", err)
		return nil
	case err != nil:
		return err
	}
	m.removed, m.gone = set(saved.Removed), set(saved.Gone)
	for _, id := range saved.Departed {
		m.gone[id] = false
	}
	for _, s := range saved.Frameworks {
		f := m.addFramework(s.info)
		m.awaitFailover(f, max(f.failoverTimeout(), m.config.AgentTimeout))
	}
	for _, s := range saved.Agents {
		a := m.addAgent(s.ID)
		a.info.Hostname, a.inactive = s.Hostname, s.Inactive
		a.timeout = m.timers.after(m.config.AgentTimeout, func() { m.giveUp(a) })
	}
	return nil
}
