package master

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/local"
	"tombolo/framework/mesos"
	"tombolo/framework/mesos/mesostest"
	"tombolo/internal/wake"
)

// scriptedAgent is an agent that does nothing by itself: tests read what the
// master told it and speak for it.
type scriptedAgent struct {
	m    *Master
	info lib.AgentInfo
	told *wake.Queue[local.ToAgent]
}

func newScriptedAgent(m *Master, host string) *scriptedAgent {
	port := int32(5051)
	return &scriptedAgent{m: m, told: wake.NewQueue[local.ToAgent](), info: lib.AgentInfo{
		Hostname: host, Port: &port,
		Resources: []lib.Resource{
			rangesResource("ports", 31000, 32000), scalarResource("cpus", 2),
			scalarResource("mem", 4096), scalarResource("disk", 10240),
		},
	}}
}

func rangesResource(name string, begin, end uint64) lib.Resource {
	return lib.Resource{
		Name: name, Type: lib.RANGES.Enum(),
		Ranges: &lib.Value_Ranges{Range: []lib.Value_Range{{Begin: begin, End: end}}},
	}
}

func (a *scriptedAgent) Send(m local.ToAgent) { a.told.Put(m) }

func (a *scriptedAgent) register(tasks ...local.Task) {
	a.m.Send(a, local.Registration{Info: a.info, Tasks: tasks})
}

// messages returns what the master said since the last look.
func (a *scriptedAgent) messages() []local.ToAgent {
	synctest.Wait()
	messages := a.told.Take()
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

// bed is a master with its HTTP server and a client that records what it hears.
type bed struct {
	t      *testing.T
	master *Master
	server *mesostest.Server
	client *mesos.Client
	heard  *wake.Queue[string]
	offers *wake.Queue[lib.Offer]
	ended  chan error
	leave  func() // ends the present client
	cancel func()
}

var tester = lib.FrameworkInfo{
	User: "root", Name: "test", Roles: []string{"web"}, Checkpoint: new(true), FailoverTimeout: new(60.0),
	Capabilities: []lib.FrameworkInfo_Capability{{Type: lib.FrameworkInfo_Capability_MULTI_ROLE}},
}

var quiet = slog.New(slog.DiscardHandler)

func scalarResource(name string, value float64) lib.Resource {
	return lib.Resource{Name: name, Type: lib.SCALAR.Enum(), Scalar: &lib.Value_Scalar{Value: value}}
}

func newBed(t *testing.T, config Config) *bed {
	t.Helper()
	m, err := New(config, quiet)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, master: m, server: mesostest.Serve(m.Handler())}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { _ = m.Run(ctx) }() // it ends with ctx, and well
	b.connect(tester)
	return b
}

// connect subscribes another client in the place of the bed's.
func (b *bed) connect(info lib.FrameworkInfo) {
	b.heard, b.offers, b.ended = wake.NewQueue[string](), wake.NewQueue[lib.Offer](), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	stop := b.cancel
	b.leave, b.cancel = cancel, func() { cancel(); stop() }
	heard, offers, ended := b.heard, b.offers, b.ended
	client := mesos.New(mesos.Config{
		Masters: []string{"master:5050"}, Framework: info, HTTP: b.server.Client(),
		Disconnected: func(error) { heard.Put("DISCONNECTED") },
	})
	b.client = client
	go func() {
		ended <- client.Run(ctx, func(e scheduler.Event) {
			heard.Put(summary(e))
			for _, o := range e.GetOffers().GetOffers() {
				offers.Put(o)
			}
		})
	}()
	synctest.Wait()
}

func (b *bed) close() {
	b.cancel()
	b.server.Close()
	synctest.Wait()
}

// expect compares all that was heard since the last look; heartbeats are left out.
func (b *bed) expect(want ...string) {
	b.t.Helper()
	synctest.Wait()
	got := slices.DeleteFunc(b.heard.Take(), func(s string) bool { return s == "HEARTBEAT" })
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		b.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func (b *bed) offer() lib.Offer {
	b.t.Helper()
	synctest.Wait()
	offers := b.offers.Take()
	if len(offers) == 0 {
		b.t.Fatal("no offer")
	}
	return offers[len(offers)-1]
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
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
		Resources: []lib.Resource{scalarResource("cpus", 0.5), scalarResource("mem", 64)},
		Command:   &lib.CommandInfo{Shell: new(false)},
		Container: &lib.ContainerInfo{
			Type: lib.ContainerInfo_DOCKER.Enum(), Docker: &lib.ContainerInfo_DockerInfo{Image: "x"},
		},
	}
}

// running brings a task to TASK_RUNNING, acknowledged.
func (b *bed) running(a *scriptedAgent, id string) lib.Offer {
	b.t.Helper()
	ctx := context.Background()
	o := b.offer()
	b.must(b.client.Call(ctx, calls.Accept(calls.OfferOperations{calls.OpLaunch(dockerTask(id, o))}.WithOffers([]lib.OfferID{o.ID}...)).With(calls.RefuseSeconds(0))))
	a.messages()
	status := a.update(b.client.FrameworkID(), id, lib.TASK_RUNNING)
	synctest.Wait()
	b.must(b.client.Call(ctx, calls.Acknowledge(status.AgentID.Value, status.TaskID.Value, status.UUID)))
	a.messages()
	b.heard.Take()
	return o
}

func inBubble(t *testing.T, config Config, test func(*bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, config)
		defer b.close()
		test(b)
	})
}
