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

// bench is an agent between a fake Docker and a master that writes down what it is
// told. It lives in a synctest bubble: after settle, nothing moves by itself.
type bench struct {
	t      *testing.T
	dir    string
	docker *agenttest.Docker
	agent  interface{ Send(local.ToAgent) }
	stop   func()

	registered []local.Registration
	updates    []local.TaskUpdate
	departed   int
	unknown    []local.TaskRef // what the master says of the next registration
	id         string
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), docker: &agenttest.Docker{}, id: "agent-1"}
	b.start()
	return b
}

// start runs an agent on the bench's folder.
func (b *bench) start() {
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
			b.t.Errorf("Run: %v", err)
		}
	}
	b.settle()
}

// Send is the master's: only the agent's goroutine calls it, and tests look after settle.
func (b *bench) Send(from local.Agent, m local.ToMaster) {
	switch m := m.(type) {
	case local.Registration:
		b.registered = append(b.registered, m)
		for _, task := range m.Tasks {
			for _, p := range task.Pending {
				b.deliver(local.TaskUpdate{FrameworkID: *task.Framework.ID, Status: p})
			}
		}
		from.Send(local.Registered{AgentID: mesos.AgentID{Value: b.id}, Unknown: b.unknown})
	case local.TaskUpdate:
		b.deliver(m)
	case local.Departure:
		b.departed++
	}
}

// deliver takes an update unless it is here already.
func (b *bench) deliver(u local.TaskUpdate) {
	if !slices.ContainsFunc(b.updates, func(have local.TaskUpdate) bool {
		return string(have.Status.UUID) == string(u.Status.UUID)
	}) {
		b.updates = append(b.updates, u)
	}
}

func (b *bench) settle() { synctest.Wait() }

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	time.Sleep(d)
	b.settle()
}

func (b *bench) launch(id string, with ...func(*local.Launch)) local.TaskRef {
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

func (b *bench) kill(ref local.TaskRef) {
	b.agent.Send(local.Kill{TaskRef: ref})
	b.settle()
}

// acknowledge acknowledges everything.
func (b *bench) acknowledge() {
	for _, u := range b.updates {
		b.agent.Send(local.Acknowledge{
			TaskRef: local.TaskRef{FrameworkID: u.FrameworkID, TaskID: u.Status.TaskID}, UUID: u.Status.UUID,
		})
	}
	b.settle()
}

// container is the only one there is.
func (b *bench) container() string {
	b.t.Helper()
	names := b.docker.Names()
	if len(names) != 1 {
		b.t.Fatalf("containers %v, want one", names)
	}
	return names[0]
}

// states are those of the updates sent, with their messages.
func (b *bench) states() []string {
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

func (b *bench) wantStates(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.states()); diff != "" {
		b.t.Errorf("updates (-want +got):\n%s", diff)
	}
}

func (b *bench) wantNothingLeft() {
	b.t.Helper()
	if names := b.docker.Names(); len(names) > 0 {
		b.t.Errorf("containers left: %v", names)
	}
	for _, pattern := range []string{"meta/*", "slaves/*/frameworks/*"} {
		if left, _ := filepath.Glob(filepath.Join(b.dir, pattern)); len(left) > 0 {
			b.t.Errorf("files left: %v", left)
		}
	}
}

// inBubble runs a test of the bench; whatever is still running at its end fails it.
func inBubble(t *testing.T, test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer func() { b.stop() }()
		test(b)
	})
}

func TestTaskIsLaunchedAndKilled(t *testing.T) {
	inBubble(t, func(b *bench) {
		ref := b.launch("t", func(l *local.Launch) {
			l.Framework.Capabilities = []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE}}
			l.Task.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: int64(2500 * time.Millisecond)}}
		})
		b.wantStates("STARTING", "RUNNING")
		b.kill(ref)
		b.wantStates("STARTING", "RUNNING", "KILLING", "KILLED: Container exited with status 143")
		if names := b.docker.Names(); len(names) > 0 {
			t.Errorf("left when the end was reported: %v", names)
		}

		running := b.updates[1].Status
		if !strings.HasPrefix(string(running.Data), "[\n    {") {
			t.Errorf("RUNNING's data is no docker inspect: %s", running.Data)
		}
		address := func(i int) string {
			return b.updates[i].Status.ContainerStatus.NetworkInfos[0].IPAddresses[0].GetIPAddress()
		}
		want := []string{"198.18.0.11", "100.64.0.1", "198.18.0.11"} // recorded: the agent's but for RUNNING
		if diff := cmp.Diff(want, []string{address(0), address(1), address(3)}); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		if got := running.ContainerStatus.NetworkInfos[0].GetName(); got != "tombolo" {
			t.Errorf("network %q", got)
		}
		stops := b.docker.Commands("stop")
		if len(stops) == 0 || !slices.Equal(stops[0][:3], []string{"stop", "-t", "3"}) {
			t.Errorf("docker stop was %v", stops)
		}
		b.acknowledge()
		b.wantNothingLeft()
	})
}

func TestContainerThatExits(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.launch("t")
		b.docker.Exit(b.container(), 3)
		b.settle()
		b.wantStates("STARTING", "RUNNING", "FAILED: Container exited with status 3")
		b.acknowledge()
		b.container() // its output can be read for a while
		b.pass(time.Minute)
		b.wantNothingLeft()
	})
}

func TestContainerThatCannotStart(t *testing.T) {
	for _, c := range []struct {
		name   string
		docker func(*agenttest.Docker)
		want   []string
	}{
		{"no such image", func(d *agenttest.Docker) {
			d.Pull = func(string) (int, string) { return 1, "Error response from daemon: no such host" }
		}, []string{"FAILED: Failed to launch container: Failed to run 'docker pull img': exited with status 1; stderr='Error response from daemon: no such host\n'"}},
		{"docker refuses", func(d *agenttest.Docker) {
			d.Start = func([]string) (int, string) {
				return 125, "docker: Error response from daemon: network tombolo not found.\nSee 'docker run --help'."
			}
		}, []string{"STARTING", "FAILED: Container exited with status 125: docker: Error response from daemon: network tombolo not found."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				c.docker(b.docker)
				b.launch("t")
				b.wantStates(c.want...)
				b.acknowledge()
				b.pass(time.Minute)
				b.wantNothingLeft()
			})
		})
	}
	t.Run("URIs", func(t *testing.T) {
		inBubble(t, func(b *bench) {
			b.launch("t", func(l *local.Launch) { l.Task.Command.URIs = []mesos.CommandInfo_URI{{Value: "file:///etc/hostname"}} })
			if got := strings.Join(b.states(), ""); !strings.HasPrefix(got, "FAILED: Failed to launch container: Failed to fetch all URIs for container '") {
				t.Errorf("updates %s", got)
			}
		})
	})
	t.Run("options", func(t *testing.T) {
		inBubble(t, func(b *bench) {
			b.launch("t", func(l *local.Launch) { l.Task.Container.NetworkInfos = nil })
			b.wantStates("STARTING", "FAILED: Failed to create docker run options: No network info found in container info")
		})
	})
}

func TestAgentRestarts(t *testing.T) {
	inBubble(t, func(b *bench) {
		ref := b.launch("t")
		name := b.container()
		b.stop()
		b.start()
		if diff := cmp.Diff([]string{name}, b.docker.Running()); diff != "" {
			t.Errorf("running after the restart (-want +got):\n%s", diff)
		}
		if n := len(b.docker.Commands("run")); n != 1 {
			t.Errorf("%d docker runs, want 1", n)
		}
		again := b.registered[1]
		if again.Info.ID.GetValue() != "agent-1" || len(again.Tasks) != 1 || len(again.Tasks[0].Pending) != 2 ||
			again.Tasks[0].State != mesos.TASK_RUNNING {
			t.Errorf("registered again with %+v", again)
		}
		b.wantStates("STARTING", "RUNNING") // none is sent twice
		b.kill(ref)
		b.wantStates("STARTING", "RUNNING", "KILLED: Container exited with status 143")
		b.acknowledge()
		b.wantNothingLeft()
	})
}

// A master that has restarted answers RECONCILE with what the agent said last, also
// of a task whose updates are all acknowledged.
func TestAgentRemembersTheLatestUpdate(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.launch("t")
		b.acknowledge()
		b.stop()
		b.start()
		got := b.registered[1].Tasks[0]
		if len(got.Pending) > 0 || got.Latest.GetState() != mesos.TASK_RUNNING || got.Latest.TaskID.Value != "t" ||
			"mesos-"+got.Latest.GetContainerStatus().GetContainerID().GetValue() != b.container() {
			t.Errorf("registered again with %+v", got)
		}
	})
}

func TestContainerEndsWhileTheAgentIsAway(t *testing.T) {
	for _, c := range []struct {
		name string
		away func(b *bench, container string)
		want string
	}{
		{"exits", func(b *bench, name string) { b.docker.Exit(name, 0) }, "FINISHED: Container exited with status 0"},
		{"is removed", func(b *bench, name string) {
			_, _ = b.docker.Run(context.Background(), agent.Command{Args: []string{"rm", "-f", name}})
		}, "FAILED: Container was removed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.launch("t")
				name := b.container()
				b.stop()
				c.away(b, name)
				b.start()
				b.wantStates("STARTING", "RUNNING", c.want)
			})
		})
	}
}

// An agent that dies between its checkpoint and docker run starts the container
// at its return, once.
func TestAgentDiesBeforeDockerRun(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.docker.Down()
		b.launch("t")
		b.wantStates()
		b.stop()
		b.docker.Up()
		b.start()
		b.wantStates("STARTING", "RUNNING")
		if n := len(b.docker.Running()); n != 1 {
			t.Errorf("%d containers, want 1", n)
		}
	})
}

func TestEngineGoesAndReturns(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.launch("stays")
		stays := b.container()
		b.launch("dies")
		i := slices.IndexFunc(b.docker.Names(), func(n string) bool { return n != stays })
		dies := b.docker.Names()[i]
		b.docker.Down()
		b.settle()
		if b.departed != 1 {
			t.Fatalf("departed %d times, want once and at once", b.departed)
		}
		b.docker.Exit(dies, 137)
		b.pass(10 * time.Second)
		if len(b.updates) != 4 {
			t.Errorf("updates while the Engine was away: %v", b.states())
		}
		b.docker.Up()
		b.pass(time.Second)
		if len(b.registered) != 2 || len(b.registered[1].Tasks) != 2 {
			t.Errorf("registrations %+v", b.registered)
		}
		b.wantStates("STARTING", "RUNNING", "STARTING", "RUNNING", "FAILED: Container exited with status 137")
		if diff := cmp.Diff([]string{stays}, b.docker.Running()); diff != "" {
			t.Errorf("running (-want +got):\n%s", diff)
		}
	})
}

func TestKillWhilePulling(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.docker.Down() // the launch hangs until the Engine returns
		ref := b.launch("t")
		b.kill(ref)
		b.docker.Up()
		b.pass(2 * time.Second)
		b.wantStates("KILLED: Killed before its container started")
		if len(b.docker.Commands("run")) > 0 {
			t.Error("started after its kill")
		}
	})
}

func TestOrphansAreRemovedAndStrangersAreNot(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.launch("t")
		b.stop()
		b.docker.Put(agent.Container{Name: "mesos-orphan", Status: "running", Sandbox: b.dir + "/slaves/x"})
		b.docker.Put(agent.Container{Name: "mesos-stranger", Status: "running", Sandbox: "/var/lib/mesos/slaves/x"})
		b.docker.Put(agent.Container{Name: "mesos-other", Status: "running"})
		b.start()
		names := b.docker.Names()
		if len(names) != 3 || slices.Contains(names, "mesos-orphan") {
			t.Errorf("containers %v, want all but the orphan", names)
		}
	})
}

func TestFrameworkThatIsGone(t *testing.T) {
	for _, c := range []struct {
		name string
		gone func(*bench, local.TaskRef)
	}{
		{"shutdown", func(b *bench, ref local.TaskRef) {
			b.agent.Send(local.Shutdown{FrameworkID: ref.FrameworkID})
			b.settle()
		}},
		{"unknown at the registration", func(b *bench, ref local.TaskRef) {
			b.stop()
			b.unknown = []local.TaskRef{ref}
			b.start()
		}},
		{"another agent ID", func(b *bench, _ local.TaskRef) {
			b.stop()
			b.id = "agent-2"
			b.start()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				ref := b.launch("t")
				c.gone(b, ref)
				b.pass(time.Second)
				b.wantStates("STARTING", "RUNNING")
				b.wantNothingLeft()
			})
		})
	}
}
