package master

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/local"
)

func TestAgentIsLostAndComesBack(t *testing.T) {
	inBubble(t, Config{AgentTimeout: 75 * time.Second}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		o := b.running(a, "t1")
		time.Sleep(time.Second)
		b.expect("OFFERS 1")
		a.depart()
		b.expect("RESCIND")
		b.call(calls.Reconcile())
		b.expect("UPDATE t1 TASK_RUNNING REASON_RECONCILIATION (no uuid)")
		time.Sleep(76 * time.Second)
		b.expect("UPDATE t1 TASK_LOST REASON_AGENT_REMOVED (no uuid)", "FAILURE")
		b.reconcile("t1", o.AgentID.Value)
		b.expect("UPDATE t1 TASK_LOST REASON_RECONCILIATION (no uuid)")
		a.register(local.Task{Framework: b.known(), Info: dockerTask("t1", o), State: lib.TASK_RUNNING})
		time.Sleep(time.Second)
		b.expect("UPDATE t1 TASK_RUNNING REASON_AGENT_REREGISTERED (no uuid)", "OFFERS 1")
	})
}

func TestOperatorTakesAnAgentOutOfService(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		a := newScriptedAgent(b.master, "h1")
		a.register()
		b.running(a, "t1")
		time.Sleep(time.Second)
		b.expect("OFFERS 1")
		operate := func(call string) {
			id := a.info.ID.Value
			body := fmt.Sprintf(`{"type":%q,%q:{"agent_id":{"value":%q}}}`, strings.ToUpper(call), call, id)
			r, err := b.server.Client().Post("http://master/api/v1", "application/json", strings.NewReader(body))
			b.must(err)
			r.Body.Close()
			if r.StatusCode != http.StatusOK {
				t.Errorf("%s was answered with status %d, want 200", call, r.StatusCode)
			}
		}
		operate("deactivate_agent")
		time.Sleep(time.Minute)
		b.expect("RESCIND")
		operate("reactivate_agent")
		time.Sleep(time.Second)
		b.expect("OFFERS 1")
		old := a.info.ID.Value
		operate("mark_agent_gone")
		b.expect("UPDATE t1 TASK_LOST REASON_AGENT_REMOVED (no uuid)", "RESCIND", "FAILURE")
		a.messages()
		a.register()
		a.messages()
		if a.info.ID.Value == old {
			t.Error("an agent that was marked gone got its old ID again")
		}
	})
}

func TestMasterRestarts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, Config{Dir: dir})
		a := newScriptedAgent(b.master, "h1")
		a.register()
		o := b.running(a, "t1")
		info := b.known()
		b.close()

		b = newBed(t, Config{Dir: dir})
		defer b.close()
		b.connect(info)
		b.expect("SUBSCRIBED")
		b.reconcile("t1", o.AgentID.Value)
		b.reconcile("t1", "")
		b.expect() // no answer while the agent may still come back
		a.m = b.master
		id := a.info.ID.Value
		pending := lib.TaskStatus{TaskID: lib.TaskID{Value: "t1"}, State: lib.TASK_FAILED.Enum(), UUID: make([]byte, 16)}
		a.register(local.Task{Framework: info, Info: dockerTask("t1", o), State: lib.TASK_FAILED, Pending: []lib.TaskStatus{pending}})
		a.messages()
		if a.info.ID.Value != id {
			t.Errorf("the restarted master gave agent %s the ID %s, want its old one", id, a.info.ID.Value)
		}
		b.expect("UPDATE t1 TASK_FAILED")
	})
}
