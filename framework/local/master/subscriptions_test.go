package master

import (
	"errors"
	"testing"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/local"
	"tombolo/framework/mesos"
)

func TestFrameworkFailsOver(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		b.running(a, "t1")
		old, info := b.ended, b.known()
		b.connect(info)
		if err := <-old; !errors.Is(err, mesos.ErrFailedOver) {
			t.Errorf("the old client ended with %v, want %v", err, mesos.ErrFailedOver)
		}
		time.Sleep(time.Second)
		b.expect("SUBSCRIBED", "OFFERS 1")
		b.call(calls.Reconcile())
		b.expect("UPDATE t1 TASK_RUNNING REASON_RECONCILIATION (no uuid)")
		b.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
		wantShutdown(t, a, info.ID.Value)
		if err := <-b.ended; !errors.Is(err, mesos.ErrRemoved) {
			t.Errorf("the client ended with %v after TEARDOWN, want %v", err, mesos.ErrRemoved)
		}
	})
}

func TestFailoverTimeoutRemovesTheFramework(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		b.running(a, "t1")
		info := b.known()
		b.leave()
		time.Sleep(59 * time.Second)
		b.connect(info)
		b.expect("SUBSCRIBED", "OFFERS 1")
		b.leave()
		time.Sleep(61 * time.Second)
		wantShutdown(t, a, info.ID.Value)
		b.connect(info)
		if err := <-b.ended; !errors.Is(err, mesos.ErrRemoved) {
			t.Errorf("the client of a removed framework ended with %v, want %v", err, mesos.ErrRemoved)
		}
	})
}

// wantShutdown expects a Shutdown of the framework, and nothing else.
func wantShutdown(t *testing.T, a *scriptedAgent, framework string) {
	t.Helper()
	if got := a.messages(); len(got) != 1 || got[0].(local.Shutdown).FrameworkID.Value != framework {
		t.Errorf("the agent got %+v, want a Shutdown of framework %s", got, framework)
	}
}
