package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/internal/state"
)

// savedTask is everything that an agent must know of a task after a crash.
type savedTask struct {
	local.Task
	AgentID     string // the agent's ID when the task was launched: part of the sandbox's path
	ContainerID string
	Killed      bool // a kill was requested: the task ends as TASK_KILLED, whatever its exit status
}

// containerName is the name of the task's container.
func (s savedTask) containerName() string { return namePrefix + s.ContainerID }

// taskFile is the JSON form of a savedTask. It has Mesos' messages in their protobuf
// form, because a resource limit may be infinite, and JSON has no infinity.
type taskFile struct {
	AgentID     string   `json:"agent_id"`
	ContainerID string   `json:"container_id"`
	Framework   []byte   `json:"framework"`
	Task        []byte   `json:"task"`
	TaskID      string   `json:"task_id"` // not read back: it is there for people
	State       string   `json:"state"`
	Killed      bool     `json:"killed,omitempty"`
	Latest      []byte   `json:"latest,omitempty"`
	Pending     [][]byte `json:"pending,omitempty"`
}

func (s savedTask) MarshalJSON() ([]byte, error) {
	f := taskFile{
		AgentID: s.AgentID, ContainerID: s.ContainerID, TaskID: s.Info.TaskID.Value,
		State: s.State.String(), Killed: s.Killed, Pending: make([][]byte, len(s.Pending)),
	}
	err := errors.Join(encode(&f.Framework, &s.Framework), encode(&f.Task, &s.Info))
	if s.Latest.State != nil {
		err = errors.Join(err, encode(&f.Latest, &s.Latest))
	}
	for i := range s.Pending {
		err = errors.Join(err, encode(&f.Pending[i], &s.Pending[i]))
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(f)
}

func encode(to *[]byte, message interface{ Marshal() ([]byte, error) }) (err error) {
	*to, err = message.Marshal()
	return err
}

func (s *savedTask) UnmarshalJSON(data []byte) error {
	var f taskFile
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*s = savedTask{AgentID: f.AgentID, ContainerID: f.ContainerID, Killed: f.Killed}
	s.State, s.Pending = mesos.TaskState(mesos.TaskState_value[f.State]), make([]mesos.TaskStatus, len(f.Pending))
	err := errors.Join(s.Framework.Unmarshal(f.Framework), s.Info.Unmarshal(f.Task))
	if len(f.Latest) > 0 {
		err = errors.Join(err, s.Latest.Unmarshal(f.Latest))
	}
	for i, p := range f.Pending {
		err = errors.Join(err, s.Pending[i].Unmarshal(p))
	}
	if s.ContainerID == "" || s.Framework.ID == nil {
		err = errors.Join(err, errors.New("no container or framework ID"))
	}
	return err
}

// checkpoint keeps an agent's ID and tasks in its WorkDir:
//
//	agent.json             the agent's ID
//	meta/<container>.json  one file per task
//
// Each file is replaced as a whole, so that after a kill -9 at any moment it holds the
// old content or the new. Task files are not synced: a power failure ends the
// containers too, and a file that it tore is moved aside at the next start.
type checkpoint struct{ dir string }

type agentFile struct {
	ID string `json:"agent_id"`
}

// agentID returns the stored ID, which is empty before the first registration. The error
// is state.ErrBroken if the file cannot be decoded.
func (c checkpoint) agentID() (string, error) {
	var f agentFile
	err := state.Load(filepath.Join(c.dir, "agent.json"), &f)
	return f.ID, err
}

func (c checkpoint) setAgentID(id string) error {
	return state.Save(filepath.Join(c.dir, "agent.json"), agentFile{ID: id}, true)
}

func (c checkpoint) path(containerID string) string {
	return filepath.Join(c.dir, "meta", containerID+".json")
}

func (c checkpoint) save(t savedTask) error { return state.Save(c.path(t.ContainerID), t, false) }

func (c checkpoint) forget(containerID string) error {
	if err := os.Remove(c.path(containerID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget task: %w", err)
	}
	return nil
}

// load returns the tasks of all files that can be read. The error names the files that
// cannot; they were moved aside.
func (c checkpoint) load() ([]savedTask, error) {
	files, err := filepath.Glob(c.path("*"))
	if err != nil {
		return nil, fmt.Errorf("load tasks: %w", err)
	}
	var tasks []savedTask
	var errs []error
	for _, file := range files {
		var t savedTask
		if err := state.Load(file, &t); err != nil {
			errs = append(errs, err)
			continue
		}
		tasks = append(tasks, t)
	}
	return tasks, errors.Join(errs...)
}
