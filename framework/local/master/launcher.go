package master

import (
	"fmt"
	"log/slog"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// noContainerizer is Mesos' message for a task that is not a Docker container.
const noContainerizer = "None of the enabled containerizers (docker) could create a container for the provided TaskInfo/ExecutorInfo message"

// launcher handles ACCEPT.
type launcher struct {
	log    *slog.Logger
	offers *allocator
	tasks  *taskBook
}

// accept launches tasks with the resources of offers and returns the rest. It ignores
// operations other than launches, because this cluster has no reservations and no
// persistent volumes.
func (l launcher) accept(f *framework, c *scheduler.Call_Accept) {
	offers, fault := l.collect(f, c.OfferIDs)
	for _, o := range offers {
		l.offers.remove(o)
	}
	if fault != "" {
		loseLaunches(f, c.Operations, "Task launched with invalid offers: "+fault)
		return
	}
	if len(offers) == 0 {
		return
	}
	first, rest := offers[0], mesos.Resources{}
	for _, o := range offers {
		rest.Add(o.resources...)
	}
	for _, operation := range c.Operations {
		switch {
		case operation.Launch != nil:
			for _, info := range operation.Launch.TaskInfos {
				rest = l.launch(first, info, rest)
			}
		case operation.LaunchGroup != nil:
			refuseGroup(f, operation.LaunchGroup)
		default:
			l.log.Warn("offer operation ignored", "framework", f.id, "type", operation.Type.String())
		}
	}
	l.offers.refuse(first, rest, c.Filters)
}

// collect returns the offers of an ACCEPT that exist. fault says why they cannot be used
// together; the framework loses them even then.
func (l launcher) collect(f *framework, ids []mesos.OfferID) (offers []*offer, fault string) {
	seen := map[string]bool{}
	complain := func(format string, args ...any) {
		if fault == "" {
			fault = fmt.Sprintf(format, args...)
		}
	}
	for _, id := range ids {
		o := l.offers.find(f, id)
		switch {
		case seen[id.Value]:
			complain("Duplicate offer %s in offer list", id.Value)
			continue
		case o == nil:
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

// launch launches one task with a part of the free resources and returns those that
// are left.
func (l launcher) launch(o *offer, info mesos.TaskInfo, free mesos.Resources) mesos.Resources {
	for i := range info.Resources {
		if info.Resources[i].AllocationInfo == nil {
			info.Resources[i].Allocate(o.role)
		}
	}
	fault := taskFault(info, o)
	if fault == "" && !resources.ContainsAll(free, info.Resources) {
		fault = fmt.Sprintf("Total resources %s required by task and its executor is more than available %s",
			describe(mesos.Resources{}.Plus(info.Resources...)), describe(free))
	}
	if fault == "" && info.GetContainer().GetType() != mesos.ContainerInfo_DOCKER {
		fault = noContainerizer
	}
	if fault != "" {
		refuseTask(o.framework, info, refusal{mesos.TASK_ERROR, mesos.REASON_TASK_INVALID, fault})
		return free
	}
	l.tasks.add(o.framework, o.agent, info)
	o.agent.send(local.Launch{Framework: o.framework.info, Task: info})
	return free.Minus(info.Resources...)
}

// loseLaunches reports all tasks of operations as lost.
func loseLaunches(f *framework, operations []mesos.Offer_Operation, why string) {
	for _, operation := range operations {
		tasks := operation.GetLaunch().GetTaskInfos()
		if g := operation.LaunchGroup; g != nil {
			tasks = append(tasks, g.TaskGroup.Tasks...)
		}
		for _, info := range tasks {
			refuseTask(f, info, refusal{f.lostState(mesos.TASK_DROPPED), mesos.REASON_INVALID_OFFERS, why})
		}
	}
}

// refuseGroup refuses a task group. Mesos has no groups of Docker tasks, and this
// cluster has no other tasks.
func refuseGroup(f *framework, g *mesos.Offer_Operation_LaunchGroup) {
	why := noContainerizer
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
		refuseTask(f, info, refusal{mesos.TASK_ERROR, mesos.REASON_TASK_GROUP_INVALID, why})
	}
}

// refusal is why a task is not launched.
type refusal struct {
	state  mesos.TaskState
	reason mesos.TaskStatus_Reason
	why    string
}

func refuseTask(f *framework, info mesos.TaskInfo, r refusal) {
	status := masterStatus(info.TaskID, &info.AgentID, r.state)
	status.Reason, status.Message = &r.reason, &r.why
	f.sendStatus(status)
}
