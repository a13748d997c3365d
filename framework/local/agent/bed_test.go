package agent_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/framework/local/agent"
	"tombolo/framework/local/agent/agenttest"
)

// bed is an agent between a Docker without containers and a master that records the
// agent's messages. It lives in a synctest bubble: after settle, nothing happens until
// the test does something or lets time pass.
type bed struct {
	t      *testing.T
	dir    string
	docker *agenttest.Docker
	agent  interface{ Send(local.ToAgent) }
	stop   func()

	registered []local.Registration
	updates    []local.TaskUpdate
	departed   int
	unknown    []local.TaskRef // what the master answers to the next registration
	id         string          // the ID that the master gives to the agent
}

func newBed(t *testing.T) *bed {
	b := &bed{t: t, dir: t.TempDir(), docker: &agenttest.Docker{}, id: "agent-1"}
	b.start()
	return b
}

// start runs an agent on the bed's folder.
func (b *bed) start() {
	b.t.Helper()
	a, err := agent.New(agent.Config{
		Hostname: "h1", WorkDir: b.dir, IP: "198.18.0.11", Docker: b.docker, RemoveDelay: time.Minute,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.Run(ctx, b) }()
	b.agent = a
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run returned %v, want nil", err)
		}
	}
	b.settle()
}

// Send makes bed a local.Master. Only the agent's goroutine calls it; a test reads the
// results after settle.
func (b *bed) Send(from local.Agent, m local.ToMaster) {
	switch m := m.(type) {
	case local.Registration:
		b.registered = append(b.registered, m)
		for _, task := range m.Tasks {
			for _, p := range task.Pending {
				b.receive(local.TaskUpdate{FrameworkID: *task.Framework.ID, Status: p})
			}
		}
		from.Send(local.Registered{AgentID: mesos.AgentID{Value: b.id}, Unknown: b.unknown})
	case local.TaskUpdate:
		b.receive(m)
	case local.Departure:
		b.departed++
	}
}

// receive records an update, unless it is recorded already.
func (b *bed) receive(u local.TaskUpdate) {
	if !slices.ContainsFunc(b.updates, func(have local.TaskUpdate) bool {
		return string(have.Status.UUID) == string(u.Status.UUID)
	}) {
		b.updates = append(b.updates, u)
	}
}

func (b *bed) settle() { synctest.Wait() }

// pass lets d pass.
func (b *bed) pass(d time.Duration) {
	time.Sleep(d)
	b.settle()
}

// launch launches a task on the network "tombolo", as changed by with.
func (b *bed) launch(id string, with ...func(*local.Launch)) local.TaskRef {
	value := "sleep 1000"
	network := mesos.ContainerInfo_DockerInfo_USER
	name := "tombolo"
	l := local.Launch{
		Framework: mesos.FrameworkInfo{ID: &mesos.FrameworkID{Value: "fw"}, Name: "t", User: "root"},
		Task: mesos.TaskInfo{
			Name: id, TaskID: mesos.TaskID{Value: id}, AgentID: mesos.AgentID{Value: b.id},
			Command: &mesos.CommandInfo{Value: &value},
			Container: &mesos.ContainerInfo{
				Type:         mesos.ContainerInfo_DOCKER.Enum(),
				Docker:       &mesos.ContainerInfo_DockerInfo{Image: "img", Network: &network},
				NetworkInfos: []mesos.NetworkInfo{{Name: &name}},
			},
		},
	}
	for _, change := range with {
		change(&l)
	}
	b.agent.Send(l)
	b.settle()
	return local.TaskRef{FrameworkID: *l.Framework.ID, TaskID: l.Task.TaskID}
}

func (b *bed) kill(ref local.TaskRef) {
	b.agent.Send(local.Kill{TaskRef: ref})
	b.settle()
}

// acknowledge acknowledges all updates.
func (b *bed) acknowledge() {
	for _, u := range b.updates {
		b.agent.Send(local.Acknowledge{
			TaskRef: local.TaskRef{FrameworkID: u.FrameworkID, TaskID: u.Status.TaskID}, UUID: u.Status.UUID,
		})
	}
	b.settle()
}

// container returns the name of the only container.
func (b *bed) container() string {
	b.t.Helper()
	names := b.docker.Names()
	if len(names) != 1 {
		b.t.Fatalf("there are the containers %v, want exactly one", names)
	}
	return names[0]
}

// states returns the states of all updates, with their messages.
func (b *bed) states() []string {
	var all []string
	for _, u := range b.updates {
		s := strings.TrimPrefix(u.Status.State.String(), "TASK_")
		if u.Status.Message != nil {
			s += ": " + *u.Status.Message
		}
		all = append(all, s)
	}
	return all
}

func (b *bed) wantStates(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.states()); diff != "" {
		b.t.Errorf("the agent sent other updates (-want +got):\n%s", diff)
	}
}

// wantNothingLeft fails for containers, checkpoints and sandboxes.
func (b *bed) wantNothingLeft() {
	b.t.Helper()
	if names := b.docker.Names(); len(names) > 0 {
		b.t.Errorf("containers were left behind: %v", names)
	}
	for _, pattern := range []string{"meta/*", "slaves/*/frameworks/*"} {
		if left, _ := filepath.Glob(filepath.Join(b.dir, pattern)); len(left) > 0 {
			b.t.Errorf("files were left behind: %v", left)
		}
	}
}

// inBubble runs a test on a bed. A goroutine that runs at its end fails it.
func inBubble(t *testing.T, test func(*bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		defer func() { b.stop() }()
		test(b)
	})
}
