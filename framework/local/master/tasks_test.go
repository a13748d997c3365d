package master

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/local"
)

func TestTaskIsLaunchedAndKilled(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		b.expect("SUBSCRIBED")
		a.register()
		b.expect("OFFERS 1")
		o := b.offer()
		if got, want := describe(o.Resources), "ports(allocated: web):[31000-32000]; cpus(allocated: web):2; mem(allocated: web):4096; disk(allocated: web):10240"; got != want {
			t.Errorf("the offer has %s, want %s", got, want)
		}
		b.launch("t1", 0, o)
		messages := a.messages()
		launch, ok := messages[len(messages)-1].(local.Launch)
		if !ok || launch.Task.TaskID.Value != "t1" || launch.Framework.ID.Value != b.client.FrameworkID() {
			t.Fatalf("the agent got %+v, want a Launch of t1 at the end", messages)
		}
		time.Sleep(time.Second)
		b.expect("OFFERS 1")
		if got, want := describe(b.offer().Resources[1:2]), "cpus(allocated: web):1.5"; got != want {
			t.Errorf("after the launch the master offers %s, want %s", got, want)
		}
		status := a.update(b.client.FrameworkID(), "t1", lib.TASK_RUNNING)
		b.expect("UPDATE t1 TASK_RUNNING")
		b.acknowledge(status)
		if got := a.messages(); len(got) != 1 || got[0].(local.Acknowledge).TaskID.Value != "t1" {
			t.Errorf("the agent got %+v, want an Acknowledge for t1", got)
		}
		b.call(calls.Kill("t1", ""))
		if got := a.messages(); len(got) != 1 || got[0].(local.Kill).TaskID.Value != "t1" {
			t.Errorf("the agent got %+v, want a Kill of t1", got)
		}
		status = a.update(b.client.FrameworkID(), "t1", lib.TASK_KILLED)
		b.expect("UPDATE t1 TASK_KILLED")
		b.acknowledge(status)
		b.reconcile("t1", o.AgentID.Value)
		b.expect("UPDATE t1 TASK_LOST REASON_RECONCILIATION (no uuid)")
	})
}

func TestUpdatesAreRepeatedUntilAcknowledged(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		b.running(a, "t1")
		first := a.update(b.client.FrameworkID(), "t1", lib.TASK_RUNNING)
		second := a.update(b.client.FrameworkID(), "t1", lib.TASK_FINISHED)
		b.expect("UPDATE t1 TASK_RUNNING")
		time.Sleep(9 * time.Second)
		b.events.Take() // an offer of the resources that the task has freed
		time.Sleep(1100 * time.Millisecond)
		b.expect("UPDATE t1 TASK_RUNNING") // after 10 s
		time.Sleep(20 * time.Second)
		b.expect("UPDATE t1 TASK_RUNNING") // after 20 s more
		time.Sleep(39 * time.Second)
		b.expect()
		time.Sleep(time.Second)
		b.expect("UPDATE t1 TASK_RUNNING") // after 40 s more
		b.acknowledge(second)              // too early: it has not been sent
		b.acknowledge(first)
		b.expect("UPDATE t1 TASK_FINISHED")
		b.acknowledge(second)
		time.Sleep(time.Hour)
		b.expect()
	})
}

func TestKillWaitsForADisconnectedAgent(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		o := b.running(a, "t1")
		a.depart()
		synctest.Wait()
		b.call(calls.Kill("t1", ""))
		if got := a.messages(); len(got) != 0 {
			t.Errorf("the agent got %+v while it was disconnected, want nothing", got)
		}
		a.register(local.Task{Framework: b.known(), Info: dockerTask("t1", o), State: lib.TASK_RUNNING})
		if got := a.messages(); len(got) != 2 || got[1].(local.Kill).TaskID.Value != "t1" {
			t.Errorf("the agent got %+v when it was back, want Registered and a Kill of t1", got)
		}
	})
}

// An agent disconnects before it gets a launch, registers without the task, and gets
// the launch only then.
func TestLaunchThatCrossesARegistration(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		o := b.offer()
		b.events.Take()
		b.launch("t1", time.Hour, o)
		a.messages()
		a.depart()
		a.register()
		b.expect("UPDATE t1 TASK_LOST REASON_RECONCILIATION (no uuid)")
		a.messages()
		a.update(b.client.FrameworkID(), "t1", lib.TASK_RUNNING)
		want := local.Registered{AgentID: *a.info.ID, Unknown: []local.TaskRef{{
			FrameworkID: lib.FrameworkID{Value: b.client.FrameworkID()}, TaskID: lib.TaskID{Value: "t1"},
		}}}
		if diff := cmp.Diff([]local.ToAgent{want}, a.messages()); diff != "" {
			t.Errorf("the agent must be told to kill the task (-want +got):\n%s", diff)
		}
	})
}

func TestOffersOfDifferentAgentsAreNotCombined(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		for _, host := range []string{"h1", "h2"} {
			newScriptedAgent(b.master, host).register()
		}
		synctest.Wait()
		b.events.Take()
		b.launch("t1", 0, b.offers.Take()...)
		b.expect("UPDATE t1 TASK_LOST REASON_INVALID_OFFERS (no uuid)")
		time.Sleep(time.Second)
		b.expect("OFFERS 2")
	})
}
