package master

import (
	"bytes"

	lib "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
)

// recordedAgent is a scripted agent that knows its tasks like a real one: those that it
// was told to launch, with the updates that are not acknowledged.
type recordedAgent struct {
	*scriptedAgent
	ids   ids
	names []string // the agent's IDs in the recording
	tasks map[local.TaskRef]*local.Task
}

func newRecordedAgent(m *Master, names ids) *recordedAgent {
	a := &recordedAgent{scriptedAgent: newScriptedAgent(m, "127.0.0.1"), ids: names, tasks: map[local.TaskRef]*local.Task{}}
	for _, attribute := range [][2]string{{"rack", "r1"}, {"zone", "z1"}} {
		a.info.Attributes = append(a.info.Attributes, lib.Attribute{
			Name: attribute[0], Type: lib.TEXT, Text: &lib.Value_Text{Value: attribute[1]},
		})
	}
	return a
}

// settle handles what the master has sent.
func (a *recordedAgent) settle() {
	for _, message := range a.messages() {
		switch message := message.(type) {
		case local.Launch:
			t := &local.Task{Framework: message.Framework, Info: message.Task, State: lib.TASK_STAGING}
			a.tasks[t.Ref()] = t
		case local.Acknowledge:
			a.acknowledge(message)
		case local.Shutdown:
			for ref := range a.tasks {
				if ref.FrameworkID == message.FrameworkID {
					delete(a.tasks, ref)
				}
			}
		case local.Registered:
			for _, ref := range message.Unknown {
				delete(a.tasks, ref)
			}
			for _, name := range a.names {
				a.ids[name] = message.AgentID.Value
			}
		}
	}
}

func (a *recordedAgent) acknowledge(m local.Acknowledge) {
	t := a.tasks[m.TaskRef]
	if t == nil || len(t.Pending) == 0 || !bytes.Equal(t.Pending[0].UUID, m.UUID) {
		return
	}
	t.Pending = t.Pending[1:]
	if len(t.Pending) == 0 && local.IsTerminal(t.State) {
		delete(a.tasks, m.TaskRef)
	}
}

// report sends an update of the recorded agent.
func (a *recordedAgent) report(framework string, status lib.TaskStatus) {
	ref := local.TaskRef{FrameworkID: lib.FrameworkID{Value: a.ids[framework]}, TaskID: status.TaskID}
	status.AgentID = new(*a.info.ID)
	if t := a.tasks[ref]; t != nil {
		t.State, t.Latest = status.GetState(), status
		t.Pending = append(t.Pending, status)
	}
	a.m.Send(a, local.TaskUpdate{FrameworkID: ref.FrameworkID, Status: status})
}

func (a *recordedAgent) depart() { a.m.Send(a, local.Departure{}) }

// leave ends the agent together with its tasks.
func (a *recordedAgent) leave() {
	a.m.Send(a, local.Departure{Final: true})
	clear(a.tasks)
}

// back registers the agent with its tasks.
func (a *recordedAgent) back() {
	var tasks []local.Task
	for _, t := range a.tasks {
		tasks = append(tasks, *t)
	}
	a.m.Send(a, local.Registration{Info: a.info, Tasks: tasks})
}
