package master

import (
	"fmt"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// accept uses offers. Operations other than launches are left out: this cluster
// has no reservations and no persistent volumes.
func (m *Master) accept(f *framework, c *scheduler.Call_Accept) {
	offers, fault := m.collect(f, c.OfferIDs)
	for _, o := range offers {
		m.takeBack(o)
	}
	if fault != "" {
		m.loseLaunches(f, c.Operations, "Task launched with invalid offers: "+fault)
		return
	}
	if len(offers) == 0 {
		return
	}
	first := offers[0]
	rest := mesos.Resources{}
	for _, o := range offers {
		rest.Add(o.resources...)
	}
	for _, operation := range c.Operations {
		switch {
		case operation.Launch != nil:
			for _, info := range operation.Launch.TaskInfos {
				rest = m.launch(first, info, rest)
			}
		case operation.LaunchGroup != nil:
			m.refuseGroup(f, operation.LaunchGroup)
		default:
			m.log.Warn("operation left out", "framework", f.id, "type", operation.Type.String())
		}
	}
	m.refuse(first, rest, c.Filters)
}

// collect finds the offers of an ACCEPT and says why they cannot be used
// together.
func (m *Master) collect(f *framework, ids []mesos.OfferID) (offers []*offer, fault string) {
	seen := map[string]bool{}
	complain := func(format string, args ...any) {
		if fault == "" {
			fault = fmt.Sprintf(format, args...)
		}
	}
	for _, id := range ids {
		o := m.offers[id.Value]
		switch {
		case seen[id.Value]:
			complain("Duplicate offer %s in offer list", id.Value)
			continue
		case o == nil || o.framework != f:
			complain("Offer %s is no longer valid", id.Value)
			continue
		case len(offers) > 0 && o.agent != offers[0].agent:
			complain("Aggregated offers must belong to one single agent. Offer %s uses agent %s and offer %s uses agent %s",
				id.Value, o.agent.id, offers[0].id, offers[0].agent.id)
		case len(offers) > 0 && o.role != offers[0].role:
			complain("Aggregated offers must be allocated to the same role. Offer %s uses role %s but another is using role %s",
				id.Value, o.role, offers[0].role)
		}
		seen[id.Value] = true
		offers = append(offers, o)
	}
	return offers, fault
}

// loseLaunches answers for every task of operations that cannot be.
func (m *Master) loseLaunches(f *framework, operations []mesos.Offer_Operation, why string) {
	for _, operation := range operations {
		tasks := operation.GetLaunch().GetTaskInfos()
		if g := operation.LaunchGroup; g != nil {
			tasks = append(tasks, g.TaskGroup.Tasks...)
		}
		for _, info := range tasks {
			m.refuseTask(f, info, refusedTask{lostState(f, mesos.TASK_DROPPED), mesos.REASON_INVALID_OFFERS, why})
		}
	}
}

// refusedTask is why a task is not launched.
type refusedTask struct {
	state  mesos.TaskState
	reason mesos.TaskStatus_Reason
	why    string
}

func (m *Master) refuseTask(f *framework, info mesos.TaskInfo, r refusedTask) {
	agent := info.AgentID
	status := masterStatus(info.TaskID, &agent, r.state)
	status.Reason, status.Message = &r.reason, &r.why
	m.sendStatus(f, status)
}

// launch starts one task out of what is left of the offers, and returns what is
// left then.
func (m *Master) launch(o *offer, info mesos.TaskInfo, rest mesos.Resources) mesos.Resources {
	for i := range info.Resources {
		if info.Resources[i].AllocationInfo == nil {
			info.Resources[i].Allocate(o.role)
		}
	}
	fault := taskFault(info, o)
	if fault == "" && !resources.ContainsAll(rest, info.Resources) {
		fault = fmt.Sprintf("Total resources %s required by task and its executor is more than available %s",
			describe(mesos.Resources{}.Plus(info.Resources...)), describe(rest))
	}
	if fault == "" && info.GetContainer().GetType() != mesos.ContainerInfo_DOCKER {
		fault = "None of the enabled containerizers (docker) could create a container for the provided TaskInfo/ExecutorInfo message"
	}
	if fault != "" {
		m.refuseTask(o.framework, info, refusedTask{mesos.TASK_ERROR, mesos.REASON_TASK_INVALID, fault})
		return rest
	}
	m.addTask(o.framework, o.agent, info)
	o.agent.tell(local.Launch{Framework: o.framework.info, Task: info})
	return rest.Minus(info.Resources...)
}

// refuseGroup: Mesos has no groups of Docker tasks, and this cluster no others.
func (m *Master) refuseGroup(f *framework, g *mesos.Offer_Operation_LaunchGroup) {
	why := "None of the enabled containerizers (docker) could create a container for the provided TaskInfo/ExecutorInfo message"
	for _, info := range g.TaskGroup.Tasks {
		if info.GetContainer().GetType() == mesos.ContainerInfo_DOCKER && info.Container != nil {
			why = fmt.Sprintf("Task '%s' is invalid: Docker ContainerInfo is not supported on the task", info.TaskID.Value)
			break
		}
	}
	if c := g.Executor.Container; c != nil && c.GetType() != mesos.ContainerInfo_MESOS {
		why = "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"
	}
	for _, info := range g.TaskGroup.Tasks {
		m.refuseTask(f, info, refusedTask{mesos.TASK_ERROR, mesos.REASON_TASK_GROUP_INVALID, why})
	}
}
