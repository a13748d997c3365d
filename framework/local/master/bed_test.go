package master

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/local"
	"tombolo/framework/mesos"
	"tombolo/framework/mesos/mesostest"
	"tombolo/internal/wake"
)

// scriptedAgent is an agent that does nothing by itself. A test reads the messages of
// the master and answers in the agent's name.
type scriptedAgent struct {
	m     *Master
	info  lib.AgentInfo
	inbox *wake.Queue[local.ToAgent]
}

func newScriptedAgent(m *Master, host string) *scriptedAgent {
	return &scriptedAgent{m: m, inbox: wake.NewQueue[local.ToAgent](), info: lib.AgentInfo{
		Hostname: host, Port: new(int32(5051)),
		Resources: []lib.Resource{
			allPorts, resources.NewCPUs(2).Resource, resources.NewMemory(4096).Resource, resources.NewDisk(10240).Resource,
		},
	}}
}

var allPorts = resources.Build().Name(resources.NamePorts).Ranges(lib.Ranges{{Begin: 31000, End: 32000}}).Resource

func (a *scriptedAgent) Send(m local.ToAgent) { a.inbox.Put(m) }

func (a *scriptedAgent) register(tasks ...local.Task) {
	a.m.Send(a, local.Registration{Info: a.info, Tasks: tasks})
}

func (a *scriptedAgent) depart() { a.m.Send(a, local.Departure{}) }

// messages returns what the master has sent since the last call.
func (a *scriptedAgent) messages() []local.ToAgent {
	synctest.Wait()
	messages := a.inbox.Take()
	for _, m := range messages {
		if r, ok := m.(local.Registered); ok {
			id := r.AgentID
			a.info.ID = &id
		}
	}
	return messages
}

func (a *scriptedAgent) update(framework, task string, state lib.TaskState) lib.TaskStatus {
	id := uuid.New()
	status := lib.TaskStatus{
		TaskID: lib.TaskID{Value: task}, AgentID: a.info.ID, State: &state,
		Source: lib.SOURCE_EXECUTOR.Enum(), UUID: id[:],
	}
	a.m.Send(a, local.TaskUpdate{FrameworkID: lib.FrameworkID{Value: framework}, Status: status})
	return status
}

// bed is a master with its HTTP server and a client that records the events it gets.
type bed struct {
	t            *testing.T
	master       *Master
	server       *mesostest.Server
	client       *mesos.Client
	subscription *atomic.Uint64      // the number of the last one
	events       *wake.Queue[string] // as summary writes them
	offers       *wake.Queue[lib.Offer]
	ended        chan error // what the client's Run returned
	leave        func()     // stops the client
	cancel       func()     // stops the master and all clients
}

var tester = lib.FrameworkInfo{
	User: "root", Name: "test", Roles: []string{"web"}, Checkpoint: new(true), FailoverTimeout: new(60.0),
	Capabilities: []lib.FrameworkInfo_Capability{{Type: lib.FrameworkInfo_Capability_MULTI_ROLE}},
}

var quiet = slog.New(slog.DiscardHandler)

func newBed(t *testing.T, config Config) *bed {
	t.Helper()
	m, err := New(config, quiet)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, master: m, server: mesostest.Serve(m.Handler())}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { _ = m.Run(ctx) }() // it always returns nil
	b.connect(tester)
	return b
}

// connect subscribes a new client in place of the last one.
func (b *bed) connect(info lib.FrameworkInfo) {
	b.events, b.offers, b.ended = wake.NewQueue[string](), wake.NewQueue[lib.Offer](), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	stop := b.cancel
	b.leave, b.cancel = cancel, func() { cancel(); stop() }
	events, offers, ended := b.events, b.offers, b.ended
	client := mesos.New(mesos.Config{
		Masters: []string{"master:5050"}, Framework: info, HTTP: b.server.Client(),
		Disconnected: func(error) { events.Put("DISCONNECTED") },
	})
	subscription := &atomic.Uint64{}
	b.client, b.subscription = client, subscription
	go func() {
		ended <- client.Run(ctx, func(n uint64, e scheduler.Event) {
			subscription.Store(n)
			events.Put(summary(e))
			for _, o := range e.GetOffers().GetOffers() {
				offers.Put(o)
			}
		})
	}()
	synctest.Wait()
}

// known returns the tester's FrameworkInfo with the ID that the master gave to it.
func (b *bed) known() lib.FrameworkInfo {
	info := tester
	info.ID = &lib.FrameworkID{Value: b.client.FrameworkID()}
	return info
}

func (b *bed) close() {
	b.cancel()
	b.server.Close()
	synctest.Wait()
}

// expect compares all events since the last call, except for heartbeats.
func (b *bed) expect(want ...string) {
	b.t.Helper()
	synctest.Wait()
	got := slices.DeleteFunc(b.events.Take(), func(s string) bool { return s == "HEARTBEAT" })
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		b.t.Errorf("events (-want +got):\n%s", diff)
	}
}

// offer returns the newest offer.
func (b *bed) offer() lib.Offer {
	b.t.Helper()
	synctest.Wait()
	offers := b.offers.Take()
	if len(offers) == 0 {
		b.t.Fatal("the master has made no offer")
	}
	return offers[len(offers)-1]
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) call(c *scheduler.Call) {
	b.t.Helper()
	b.must(b.client.Call(context.Background(), b.subscription.Load(), c))
}

// launch launches a task with offers and refuses the rest of them for a time.
func (b *bed) launch(id string, refuse time.Duration, offers ...lib.Offer) {
	b.t.Helper()
	operations := calls.OfferOperations{calls.OpLaunch(dockerTask(id, offers[0]))}
	var ids []lib.OfferID
	for _, o := range offers {
		ids = append(ids, o.ID)
	}
	b.call(calls.Accept(operations.WithOffers(ids...)).With(calls.RefuseSeconds(refuse)))
}

func (b *bed) acknowledge(s lib.TaskStatus) {
	b.t.Helper()
	b.call(calls.Acknowledge(s.AgentID.Value, s.TaskID.Value, s.UUID))
}

// reconcile asks for a task on an agent; an empty agent names none.
func (b *bed) reconcile(task, agent string) {
	b.t.Helper()
	b.call(calls.Reconcile(calls.ReconcileTasks(map[string]string{task: agent})))
}

// running launches a task, brings it to TASK_RUNNING, and returns the offer that it
// used.
func (b *bed) running(a *scriptedAgent, id string) lib.Offer {
	b.t.Helper()
	o := b.offer()
	b.launch(id, 0, o)
	a.messages()
	status := a.update(b.client.FrameworkID(), id, lib.TASK_RUNNING)
	synctest.Wait()
	b.acknowledge(status)
	a.messages()
	b.events.Take()
	return o
}

func summary(e scheduler.Event) string {
	switch {
	case e.Update != nil:
		s := e.Update.Status
		words := []string{"UPDATE", s.TaskID.Value, s.GetState().String()}
		if s.Reason != nil {
			words = append(words, s.Reason.String())
		}
		if len(s.UUID) == 0 {
			words = append(words, "(no uuid)")
		}
		return strings.Join(words, " ")
	case e.Offers != nil:
		return fmt.Sprintf("OFFERS %d", len(e.Offers.Offers))
	}
	return e.Type.String()
}

func dockerTask(id string, o lib.Offer) lib.TaskInfo {
	return lib.TaskInfo{
		Name: id, TaskID: lib.TaskID{Value: id}, AgentID: o.AgentID,
		Resources: []lib.Resource{resources.NewCPUs(0.5).Resource, resources.NewMemory(64).Resource},
		Command:   &lib.CommandInfo{Shell: new(false)},
		Container: &lib.ContainerInfo{
			Type: lib.ContainerInfo_DOCKER.Enum(), Docker: &lib.ContainerInfo_DockerInfo{Image: "x"},
		},
	}
}

// inBubble runs a test in a synctest bubble, where time passes only as the test sleeps.
func inBubble(t *testing.T, config Config, test func(*bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, config)
		defer b.close()
		test(b)
	})
}
