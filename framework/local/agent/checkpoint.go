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
	AgentID     string // the agent's ID when the task was launched: part of the sandbox's path
	ContainerID string
	Framework   mesos.FrameworkInfo
	Task        mesos.TaskInfo
	State       mesos.TaskState
	Killed      bool             // a kill was requested: the task ends as TASK_KILLED, whatever its exit status
	Latest      mesos.TaskStatus // the newest update, without Data; its State is nil before the first update
	Pending     []mesos.TaskStatus
}

func (s savedTask) ref() local.TaskRef {
	return local.TaskRef{FrameworkID: *s.Framework.ID, TaskID: s.Task.TaskID}
}

// containerName is the name of the task's container.
func (s savedTask) containerName() string { return namePrefix + s.ContainerID }

// taskFile is the JSON form of a savedTask.
type taskFile struct {
	AgentID     string                                            `json:"agent_id"`
	ContainerID string                                            `json:"container_id"`
	Framework   binary[mesos.FrameworkInfo, *mesos.FrameworkInfo] `json:"framework"`
	Task        binary[mesos.TaskInfo, *mesos.TaskInfo]           `json:"task"`
	TaskID      string                                            `json:"task_id"` // not read back: it is there for people
	State       string                                            `json:"state"`
	Killed      bool                                              `json:"killed,omitempty"`
	Latest      *binary[mesos.TaskStatus, *mesos.TaskStatus]      `json:"latest,omitempty"`
	Pending     []binary[mesos.TaskStatus, *mesos.TaskStatus]     `json:"pending,omitempty"`
}

// binary is a Mesos message that is stored in its protobuf form. A resource limit may
// be infinite, and JSON has no infinity.
type binary[T any, M interface {
	*T
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}] struct{ message T }

func (b binary[T, M]) MarshalJSON() ([]byte, error) {
	raw, err := M(&b.message).Marshal()
	if err != nil {
		return nil, err
	}
	return json.Marshal(raw)
}

func (b *binary[T, M]) UnmarshalJSON(data []byte) error {
	var raw []byte
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	return M(&b.message).Unmarshal(raw)
}

func (s savedTask) MarshalJSON() ([]byte, error) {
	f := taskFile{
		AgentID: s.AgentID, ContainerID: s.ContainerID, TaskID: s.Task.TaskID.Value,
		State: s.State.String(), Killed: s.Killed,
	}
	f.Framework.message, f.Task.message = s.Framework, s.Task
	if s.Latest.State != nil {
		f.Latest = &binary[mesos.TaskStatus, *mesos.TaskStatus]{s.Latest}
	}
	for _, p := range s.Pending {
		f.Pending = append(f.Pending, binary[mesos.TaskStatus, *mesos.TaskStatus]{p})
	}
	return json.Marshal(f)
}

func (s *savedTask) UnmarshalJSON(data []byte) error {
	var f taskFile
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*s = savedTask{
		AgentID: f.AgentID, ContainerID: f.ContainerID, Framework: f.Framework.message, Task: f.Task.message,
		State: mesos.TaskState(mesos.TaskState_value[f.State]), Killed: f.Killed,
	}
	if f.Latest != nil {
		s.Latest = f.Latest.message
	}
	for _, p := range f.Pending {
		s.Pending = append(s.Pending, p.message)
	}
	if s.ContainerID == "" || s.Framework.ID == nil {
		return errors.New("no container or framework ID")
	}
	return nil
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

// agentID returns the stored ID. It is empty before the first registration, and with
// state.ErrBroken: the agent then registers as a new one.
func (c checkpoint) agentID() (string, error) {
	var f agentFile
	if err := state.Load(filepath.Join(c.dir, "agent.json"), &f); err != nil {
		return "", err
	}
	return f.ID, nil
}

func (c checkpoint) setAgentID(id string) error {
	return c.write(filepath.Join(c.dir, "agent.json"), agentFile{ID: id}, true)
}

func (c checkpoint) path(containerID string) string {
	return filepath.Join(c.dir, "meta", containerID+".json")
}

func (c checkpoint) save(t savedTask) error { return c.write(c.path(t.ContainerID), t, false) }

func (c checkpoint) write(path string, v any, sync bool) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return state.Save(path, v, sync)
}

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
