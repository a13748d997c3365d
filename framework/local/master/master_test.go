package master

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/local"
	"tombolo/framework/mesos"
)

func TestLaunchRunKill(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		ctx := context.Background()
		a := newScriptedAgent(b.master, "h1")
		b.expect("SUBSCRIBED")
		a.register()
		b.expect("OFFERS 1")
		o := b.offer()
		if got := describe(o.Resources); got != "ports(allocated: web):[31000-32000]; cpus(allocated: web):2; mem(allocated: web):4096; disk(allocated: web):10240" {
			t.Errorf("offered %s", got)
		}
		b.must(b.client.Call(ctx, calls.Accept(calls.OfferOperations{calls.OpLaunch(dockerTask("t1", o))}.WithOffers([]lib.OfferID{o.ID}...)).With(calls.RefuseSeconds(0))))
		messages := a.messages()
		launch, ok := messages[len(messages)-1].(local.Launch)
		if !ok || launch.Task.TaskID.Value != "t1" || launch.Framework.ID.Value != b.client.FrameworkID() {
			t.Fatalf("told %+v", messages)
		}
		time.Sleep(time.Second)
		b.expect("OFFERS 1")
		if got := describe(b.offer().Resources[1:2]); got != "cpus(allocated: web):1.5" {
			t.Errorf("left %s", got)
		}
		status := a.update(b.client.FrameworkID(), "t1", lib.TASK_RUNNING)
		b.expect("UPDATE t1 TASK_RUNNING")
		b.must(b.client.Call(ctx, calls.Acknowledge(status.AgentID.Value, status.TaskID.Value, status.UUID)))
		if got := a.messages(); len(got) != 1 || got[0].(local.Acknowledge).TaskID.Value != "t1" {
			t.Errorf("told %+v", got)
		}
		b.must(b.client.Call(ctx, calls.Kill("t1", "")))
		if got := a.messages(); len(got) != 1 || got[0].(local.Kill).TaskID.Value != "t1" {
			t.Errorf("told %+v", got)
		}
		status = a.update(b.client.FrameworkID(), "t1", lib.TASK_KILLED)
		b.expect("UPDATE t1 TASK_KILLED")
		b.must(b.client.Call(ctx, calls.Acknowledge(status.AgentID.Value, status.TaskID.Value, status.UUID)))
		b.must(b.client.Call(ctx, calls.Reconcile(calls.ReconcileTasks(map[string]string{"t1": o.AgentID.Value}))))
		b.expect("UPDATE t1 TASK_LOST REASON_RECONCILIATION (no uuid)")
	})
}

func TestUpdatesWaitForAcknowledgement(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		b.running(a, "t1")
		first := a.update(b.client.FrameworkID(), "t1", lib.TASK_RUNNING)
		second := a.update(b.client.FrameworkID(), "t1", lib.TASK_FINISHED)
		b.expect("UPDATE t1 TASK_RUNNING")
		time.Sleep(9 * time.Second)
		b.heard.Take() // the offer of what the task held
		time.Sleep(1100 * time.Millisecond)
		b.expect("UPDATE t1 TASK_RUNNING") // after 10 s
		time.Sleep(20 * time.Second)
		b.expect("UPDATE t1 TASK_RUNNING") // 20 s more
		time.Sleep(39 * time.Second)
		b.expect()
		time.Sleep(time.Second)
		b.expect("UPDATE t1 TASK_RUNNING")                                                                                     // 40 s more
		b.must(b.client.Call(context.Background(), calls.Acknowledge(second.AgentID.Value, second.TaskID.Value, second.UUID))) // not its turn
		b.must(b.client.Call(context.Background(), calls.Acknowledge(first.AgentID.Value, first.TaskID.Value, first.UUID)))
		b.expect("UPDATE t1 TASK_FINISHED")
		b.must(b.client.Call(context.Background(), calls.Acknowledge(second.AgentID.Value, second.TaskID.Value, second.UUID)))
		time.Sleep(time.Hour)
		b.expect()
	})
}

func TestAgentLostAndBack(t *testing.T) {
	inBubble(t, Config{AgentTimeout: 75 * time.Second}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		o := b.running(a, "t1")
		time.Sleep(time.Second)
		b.expect("OFFERS 1")
		a.m.Send(a, local.Departure{})
		b.expect("RESCIND")
		b.must(b.client.Call(context.Background(), calls.Reconcile()))
		b.expect("UPDATE t1 TASK_RUNNING REASON_RECONCILIATION (no uuid)")
		time.Sleep(76 * time.Second)
		b.expect("UPDATE t1 TASK_LOST REASON_AGENT_REMOVED (no uuid)", "FAILURE")
		b.must(b.client.Call(context.Background(), calls.Reconcile(calls.ReconcileTasks(map[string]string{"t1": o.AgentID.Value}))))
		b.expect("UPDATE t1 TASK_LOST REASON_RECONCILIATION (no uuid)")
		info := tester
		info.ID = &lib.FrameworkID{Value: b.client.FrameworkID()}
		a.register(local.Task{Framework: info, Task: dockerTask("t1", o), State: lib.TASK_RUNNING})
		time.Sleep(time.Second)
		b.expect("UPDATE t1 TASK_RUNNING REASON_AGENT_REREGISTERED (no uuid)", "OFFERS 1")
	})
}

func TestFailover(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		b.running(a, "t1")
		old, info := b.ended, tester
		info.ID = &lib.FrameworkID{Value: b.client.FrameworkID()}
		b.connect(info)
		if err := <-old; !errors.Is(err, mesos.ErrFailedOver) {
			t.Errorf("the old client ended with %v", err)
		}
		time.Sleep(time.Second)
		b.expect("SUBSCRIBED", "OFFERS 1")
		b.must(b.client.Call(context.Background(), calls.Reconcile()))
		b.expect("UPDATE t1 TASK_RUNNING REASON_RECONCILIATION (no uuid)")
		b.must(b.client.Call(context.Background(), &scheduler.Call{Type: scheduler.Call_TEARDOWN}))
		if got := a.messages(); len(got) != 1 || got[0].(local.Shutdown).FrameworkID.Value != info.ID.Value {
			t.Errorf("told %+v", got)
		}
		if err := <-b.ended; !errors.Is(err, mesos.ErrRemoved) {
			t.Errorf("the client ended with %v", err)
		}
	})
}

func TestFailoverTimeout(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		b.running(a, "t1")
		info := tester
		info.ID = &lib.FrameworkID{Value: b.client.FrameworkID()}
		b.leave()
		time.Sleep(59 * time.Second)
		b.connect(info)
		b.expect("SUBSCRIBED", "OFFERS 1")
		b.leave()
		time.Sleep(61 * time.Second)
		if got := a.messages(); len(got) != 1 || got[0].(local.Shutdown).FrameworkID.Value != info.ID.Value {
			t.Errorf("told %+v", got)
		}
		b.connect(info)
		if err := <-b.ended; !errors.Is(err, mesos.ErrRemoved) {
			t.Errorf("the client ended with %v", err)
		}
	})
}

func TestMasterRestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, Config{Dir: dir})
		a := newScriptedAgent(b.master, "h1")
		a.register()
		o := b.running(a, "t1")
		info := tester
		info.ID = &lib.FrameworkID{Value: b.client.FrameworkID()}
		b.close()

		b = newBed(t, Config{Dir: dir})
		defer b.close()
		b.connect(info)
		b.expect("SUBSCRIBED")
		b.must(b.client.Call(context.Background(), calls.Reconcile(calls.ReconcileTasks(map[string]string{"t1": o.AgentID.Value}))))
		b.must(b.client.Call(context.Background(), calls.Reconcile(calls.ReconcileTasks(map[string]string{"t1": ""}))))
		b.expect() // as long as the agent may come back
		a.m = b.master
		id := a.info.ID.Value
		pending := lib.TaskStatus{TaskID: lib.TaskID{Value: "t1"}, State: lib.TASK_FAILED.Enum(), UUID: make([]byte, 16)}
		a.register(local.Task{Framework: info, Task: dockerTask("t1", o), State: lib.TASK_FAILED, Pending: []lib.TaskStatus{pending}})
		a.messages()
		if a.info.ID.Value != id {
			t.Errorf("agent %s became %s", id, a.info.ID.Value)
		}
		b.expect("UPDATE t1 TASK_FAILED")
	})
}

func TestHealth(t *testing.T) {
	inBubble(t, Config{Credentials: map[string]string{"p": "s"}}, func(b *bed) {
		if err := <-b.ended; !errors.Is(err, mesos.ErrUnauthorized) {
			t.Errorf("without credentials: %v", err)
		}
		for path, want := range map[string]int{"/health": 200, "/version": 200, "/state": 401, "/nosuch": 404} {
			r, err := b.server.Client().Get("http://master" + path)
			b.must(err)
			r.Body.Close()
			if r.StatusCode != want {
				t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
			}
		}
	})
}
