package master

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// serveHealth answers 200 while the loop runs.
func (s *server) serveHealth(w http.ResponseWriter, r *http.Request) {
	if _, err := ask(r.Context(), s.loop, func() bool { return true }); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (s *server) serveVersion(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]string{"version": version})
}

// serveRedirect redirects to the leading master.
func (s *server) serveRedirect(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "//"+s.address)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func (s *server) serveState(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.authenticate(w, r, "mesos-master-readonly"); !ok {
		return
	}
	state, err := ask(r.Context(), s.loop, s.calls.state)
	if err != nil {
		reply(w, unavailable(err))
		return
	}
	writeJSON(w, state)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", jsonType)
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has left
}

// clusterState is /state: the part of Apache Mesos' /state that people look at.
type clusterState struct {
	Version    string           `json:"version"`
	ID         string           `json:"id"`
	Leader     string           `json:"leader"`
	Agents     []agentState     `json:"slaves"`
	Frameworks []frameworkState `json:"frameworks"`
}

type agentState struct {
	ID        string `json:"id"`
	Hostname  string `json:"hostname"`
	Active    bool   `json:"active"`
	Resources string `json:"resources"`
	Unused    string `json:"unused_resources"`
}

type frameworkState struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	Connected bool        `json:"connected"`
	Roles     []string    `json:"roles"`
	Tasks     []taskState `json:"tasks"`
}

type taskState struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	AgentID   string `json:"slave_id"`
	State     string `json:"state"`
	Resources string `json:"resources"`
}

func (m *Master) state() clusterState {
	s := clusterState{Version: version, ID: m.info.ID, Leader: m.info.GetPID()}
	for _, a := range m.registry.agents {
		s.Agents = append(s.Agents, agentState{
			ID: a.id, Hostname: a.info.Hostname, Active: a.conn != nil && !a.inactive,
			Resources: describe(a.info.Resources), Unused: describe(m.offers.free(a)),
		})
	}
	slices.SortFunc(s.Agents, func(x, y agentState) int { return cmp.Compare(x.Hostname, y.Hostname) })
	for _, f := range m.registry.sortedFrameworks() {
		s.Frameworks = append(s.Frameworks, f.state())
	}
	return s
}

func (f *framework) state() frameworkState {
	s := frameworkState{ID: f.id, Name: f.info.Name, Connected: f.stream != nil, Roles: f.roles()}
	for _, t := range f.tasks {
		s.Tasks = append(s.Tasks, taskState{
			ID: t.info.TaskID.Value, Name: t.info.Name, AgentID: t.agent.id,
			State: mesos.TaskState_name[int32(t.state)], Resources: describe(t.resources),
		})
	}
	slices.SortFunc(s.Tasks, func(x, y taskState) int { return cmp.Compare(x.ID, y.ID) })
	return s
}
