package master

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/uuid"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/local"
	"tombolo/framework/mesos/wire"
)

// silentAgent drops all messages.
type silentAgent struct{ host string }

func (*silentAgent) Send(local.ToAgent) {}

// BenchmarkMaster launches 10 tasks on each of 1,000 agents, reports them as running,
// and acknowledges the updates. It measures everything of the master but HTTP.
func BenchmarkMaster(b *testing.B) {
	for b.Loop() {
		m, err := New(Config{}, quiet)
		if err != nil {
			b.Fatal(err)
		}
		agents := make([]*silentAgent, 1000)
		for i := range agents {
			agents[i] = &silentAgent{host: fmt.Sprint("h", i)}
			m.membership.receive(agents[i], local.Registration{Info: newScriptedAgent(m, agents[i].host).info})
		}
		s := newStream(false)
		m.subscriptions.subscribe(s, &scheduler.Call_Subscribe{FrameworkInfo: &tester})
		f := m.registry.sortedFrameworks()[0]
		launched := 0
		for _, record := range s.events.Take() {
			launched += launchOn(b, m, f, record)
		}
		for _, t := range f.tasks {
			id := uuid.New()
			status := lib.TaskStatus{TaskID: t.info.TaskID, State: lib.TASK_RUNNING.Enum(), UUID: id[:]}
			m.tasks.update(t.agent, local.TaskUpdate{FrameworkID: lib.FrameworkID{Value: f.id}, Status: status})
			m.tasks.acknowledge(f, &scheduler.Call_Acknowledge{AgentID: t.agent.agentID(), TaskID: t.info.TaskID, UUID: id[:]})
		}
		m.offers.runBatch()
		if launched != 10_000 {
			b.Fatalf("%d tasks were launched, want 10,000", launched)
		}
	}
}

// launchOn launches 10 tasks on each offer of an event, and returns how many in all.
func launchOn(b *testing.B, m *Master, f *framework, record []byte) int {
	var event scheduler.Event
	_, body, _ := bytes.Cut(record, []byte("\n"))
	if err := wire.Unmarshal(body, &event); err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, o := range event.GetOffers().GetOffers() {
		var tasks []lib.TaskInfo
		for i := range 10 {
			t := dockerTask(fmt.Sprintf("%s.%d", o.Hostname, i), o)
			t.Resources = []lib.Resource{resources.NewCPUs(0.1).Resource, resources.NewMemory(64).Resource}
			tasks = append(tasks, t)
		}
		m.launcher.accept(f, &scheduler.Call_Accept{OfferIDs: []lib.OfferID{o.ID}, Operations: []lib.Offer_Operation{calls.OpLaunch(tasks...)}})
		n += len(tasks)
	}
	return n
}
