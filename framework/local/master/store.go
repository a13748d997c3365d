package master

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local/jsonfile"
	"tombolo/framework/mesos/wire"
)

// maxRemembered is how many removed frameworks and gone agents are kept in mind.
const maxRemembered = 1000

// masterStore is the file that outlives the master: who exists. Tasks are not in
// it; the agents bring them.
type masterStore struct{ dir string }

type masterState struct {
	Frameworks []json.RawMessage `json:"frameworks"` // FrameworkInfo, with id
	Removed    []string          `json:"removed_frameworks,omitempty"`
	Agents     []savedAgent      `json:"agents"`
	Departed   []string          `json:"departed_agents,omitempty"`
	Gone       []string          `json:"gone_agents,omitempty"` // by an operator's word
}

type savedAgent struct {
	ID       string `json:"id"`
	Hostname string `json:"hostname"`
	Inactive bool   `json:"inactive,omitempty"`
}

func (s masterStore) path() string { return filepath.Join(s.dir, "master.json") }

// save writes the state. An error is logged: the cluster goes on, and only a
// restart would show it.
func (m *Master) save() {
	if m.store.dir == "" {
		return
	}
	state := masterState{
		Removed: remembered(m.removed, true), Departed: remembered(m.gone, false), Gone: remembered(m.gone, true),
	}
	for _, f := range m.sortedFrameworks() {
		info, err := wire.Marshal(&f.info)
		if err != nil { // a FrameworkInfo that came over the wire has a JSON form
			panic(err)
		}
		state.Frameworks = append(state.Frameworks, info)
	}
	for _, id := range slices.Sorted(maps.Keys(m.agents)) {
		a := m.agents[id]
		state.Agents = append(state.Agents, savedAgent{ID: id, Hostname: a.info.Hostname, Inactive: a.inactive})
	}
	if err := jsonfile.Replace(m.store.path(), state, true); err != nil {
		m.log.Error("master state not stored", "err", err)
	}
}

// remembered lists the ids with a value.
func remembered(ids map[string]bool, value bool) []string {
	sorted := slices.DeleteFunc(slices.Sorted(maps.Keys(ids)), func(id string) bool { return ids[id] != value })
	return sorted[max(0, len(sorted)-maxRemembered):]
}

// restore reads what an earlier master left; agents and frameworks are away.
func (m *Master) restore() error {
	if m.store.dir == "" {
		return nil
	}
	state, infos, err := m.store.load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, jsonfile.ErrBroken):
		m.log.Error("the master's state is lost: frameworks and agents are new to it", "err", err)
		return nil
	case err != nil:
		return err
	}
	m.removed, m.gone = set(state.Removed), set(state.Gone)
	for _, id := range state.Departed {
		m.gone[id] = false
	}
	for _, info := range infos {
		f := m.addFramework(info)
		m.awaitFailover(f, max(f.failoverTimeout(), m.config.AgentTimeout))
	}
	for _, saved := range state.Agents {
		a := m.addAgent(saved.ID)
		a.info.Hostname, a.inactive = saved.Hostname, saved.Inactive
		a.timeout = m.timers.after(m.config.AgentTimeout, func() { m.giveUp(a) })
	}
	return nil
}

func (s masterStore) load() (state masterState, infos []mesos.FrameworkInfo, err error) {
	if err := jsonfile.Load(s.path(), &state); err != nil {
		return state, nil, err
	}
	for _, raw := range state.Frameworks {
		var info mesos.FrameworkInfo
		if err := wire.Unmarshal(raw, &info); err != nil {
			return state, nil, jsonfile.MoveAside(s.path(), err)
		}
		infos = append(infos, info)
	}
	return state, infos, nil
}
