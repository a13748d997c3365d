package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/framework/local/jsonfile"
)

// savedTask is what an agent must know about a task after a crash.
type savedTask struct {
	AgentID     string // when it was launched: part of the sandbox's path
	ContainerID string
	Framework   mesos.FrameworkInfo
	Task        mesos.TaskInfo
	State       mesos.TaskState
	Killed      bool             // a kill was asked for: whatever the exit status, it ends TASK_KILLED
	Latest      mesos.TaskStatus // the newest update, without Data; of no state before the first
	Pending     []mesos.TaskStatus
}

func (s savedTask) ref() local.TaskRef {
	return local.TaskRef{FrameworkID: *s.Framework.ID, TaskID: s.Task.TaskID}
}

func (s savedTask) name() string { return namePrefix + s.ContainerID }

// checkpoint keeps an agent's identity and tasks in its WorkDir:
//
//	agent.json             its ID
//	meta/<container>.json  one file a task
//
// Each file is replaced as a whole, so a kill -9 at any moment leaves the old or
// the new. Task files are not synced: a power failure ends the containers too, and a
// file that it tore is moved aside at the next start.
type checkpoint struct{ dir string }

// taskFile is a task on disk. Mesos' messages are in their binary form: a limit
// may be infinite, which JSON cannot say.
type taskFile struct {
	AgentID     string   `json:"agent_id"`
	ContainerID string   `json:"container_id"`
	Framework   []byte   `json:"framework"`
	Task        []byte   `json:"task"`
	TaskID      string   `json:"task_id"` // for people
	State       string   `json:"state"`
	Killed      bool     `json:"killed,omitempty"`
	Latest      []byte   `json:"latest,omitempty"`
	Pending     [][]byte `json:"pending,omitempty"`
}

type agentFile struct {
	ID string `json:"agent_id"`
}

// agentID returns the stored ID, empty before the first registration. The error is
// jsonfile.ErrBroken where the file cannot be read; the agent registers as a new one then.
func (c checkpoint) agentID() (string, error) {
	var f agentFile
	err := jsonfile.Load(filepath.Join(c.dir, "agent.json"), &f)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return f.ID, err
}

func (c checkpoint) setAgentID(id string) error {
	return jsonfile.Replace(filepath.Join(c.dir, "agent.json"), agentFile{ID: id}, true)
}

func (c checkpoint) path(containerID string) string {
	return filepath.Join(c.dir, "meta", containerID+".json")
}

func (c checkpoint) save(t savedTask) error {
	f := taskFile{
		AgentID: t.AgentID, ContainerID: t.ContainerID, TaskID: t.Task.TaskID.Value,
		State: t.State.String(), Killed: t.Killed,
	}
	var err error
	if f.Framework, err = t.Framework.Marshal(); err != nil {
		return fmt.Errorf("save task %s: %w", f.TaskID, err)
	}
	if f.Task, err = t.Task.Marshal(); err != nil {
		return fmt.Errorf("save task %s: %w", f.TaskID, err)
	}
	if t.Latest.State != nil {
		if f.Latest, err = t.Latest.Marshal(); err != nil {
			return fmt.Errorf("save task %s: %w", f.TaskID, err)
		}
	}
	for _, p := range t.Pending {
		b, err := p.Marshal()
		if err != nil {
			return fmt.Errorf("save task %s: %w", f.TaskID, err)
		}
		f.Pending = append(f.Pending, b)
	}
	return jsonfile.Replace(c.path(t.ContainerID), f, false)
}

func (c checkpoint) forget(containerID string) error {
	if err := os.Remove(c.path(containerID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget task: %w", err)
	}
	return nil
}

// load returns all tasks. A file that cannot be read is moved aside and reported in
// the error; the tasks are good nevertheless.
func (c checkpoint) load() ([]savedTask, error) {
	files, err := filepath.Glob(c.path("*"))
	if err != nil {
		return nil, fmt.Errorf("load tasks: %w", err)
	}
	var tasks []savedTask
	var errs []error
	for _, file := range files {
		t, err := loadTask(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		tasks = append(tasks, t)
	}
	return tasks, errors.Join(errs...)
}

func loadTask(path string) (savedTask, error) {
	var f taskFile
	if err := jsonfile.Load(path, &f); err != nil {
		return savedTask{}, err
	}
	t := savedTask{
		AgentID: f.AgentID, ContainerID: f.ContainerID,
		State: mesos.TaskState(mesos.TaskState_value[f.State]), Killed: f.Killed,
	}
	if err := t.Framework.Unmarshal(f.Framework); err != nil {
		return savedTask{}, jsonfile.MoveAside(path, err)
	}
	if err := t.Task.Unmarshal(f.Task); err != nil {
		return savedTask{}, jsonfile.MoveAside(path, err)
	}
	if len(f.Latest) > 0 {
		if err := t.Latest.Unmarshal(f.Latest); err != nil {
			return savedTask{}, jsonfile.MoveAside(path, err)
		}
	}
	for _, b := range f.Pending {
		var p mesos.TaskStatus
		if err := p.Unmarshal(b); err != nil {
			return savedTask{}, jsonfile.MoveAside(path, err)
		}
		t.Pending = append(t.Pending, p)
	}
	if t.ContainerID == "" || t.Framework.ID == nil {
		return savedTask{}, jsonfile.MoveAside(path, errors.New("no container or framework ID"))
	}
	return t, nil
}
