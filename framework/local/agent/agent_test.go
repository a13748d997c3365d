package agent_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/framework/local/agent"
)

func TestAgentRestarts(t *testing.T) {
	inBubble(t, func(b *bed) {
		ref := b.launch("t")
		name := b.container()
		b.stop()
		b.start()
		if diff := cmp.Diff([]string{name}, b.docker.Running()); diff != "" {
			t.Errorf("running containers after the restart (-want +got):\n%s", diff)
		}
		if n := len(b.docker.Commands("run")); n != 1 {
			t.Errorf("docker run was called %d times, want once", n)
		}
		again := b.registered[1]
		if again.Info.ID.GetValue() != "agent-1" || len(again.Tasks) != 1 || len(again.Tasks[0].Pending) != 2 ||
			again.Tasks[0].State != mesos.TASK_RUNNING {
			t.Errorf("the second registration was %+v, want agent-1 with one running task and its two pending updates", again)
		}
		b.wantStates("STARTING", "RUNNING") // no update is sent twice
		b.kill(ref)
		b.wantStates("STARTING", "RUNNING", "KILLED: Container exited with status 143")
		b.acknowledge()
		b.wantNothingLeft()
	})
}

// A restarted master answers RECONCILE with the latest update of a task, even if all its
// updates are acknowledged.
func TestAgentRemembersTheLatestUpdate(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.launch("t")
		b.acknowledge()
		b.stop()
		b.start()
		got := b.registered[1].Tasks[0]
		if len(got.Pending) > 0 || got.Latest.GetState() != mesos.TASK_RUNNING || got.Latest.TaskID.Value != "t" ||
			"mesos-"+got.Latest.GetContainerStatus().GetContainerID().GetValue() != b.container() {
			t.Errorf("the task was registered again as %+v, want TASK_RUNNING as the latest update and none pending", got)
		}
	})
}

func TestContainerEndsWhileNoAgentRuns(t *testing.T) {
	for _, c := range []struct {
		name string
		away func(b *bed, container string)
		want string
	}{
		{"it exits", func(b *bed, name string) { b.docker.Exit(name, 0) }, "FINISHED: Container exited with status 0"},
		{"it is removed", func(b *bed, name string) {
			_, _ = b.docker.Run(context.Background(), agent.Command{Args: []string{"rm", "-f", name}})
		}, "FAILED: Container was removed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
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

// An agent that dies between its checkpoint and docker run starts the container when it
// is back, and only once.
func TestAgentDiesBeforeDockerRun(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.docker.Down()
		b.launch("t")
		b.wantStates()
		b.stop()
		b.docker.Up()
		b.start()
		b.wantStates("STARTING", "RUNNING")
		if n := len(b.docker.Running()); n != 1 {
			t.Errorf("%d containers run, want 1", n)
		}
	})
}

func TestEngineGoesDownAndComesBack(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.launch("stays")
		stays := b.container()
		b.launch("dies")
		i := slices.IndexFunc(b.docker.Names(), func(n string) bool { return n != stays })
		dies := b.docker.Names()[i]
		b.docker.Down()
		b.settle()
		if b.departed != 1 {
			t.Fatalf("the agent sent %d departures at once, want 1", b.departed)
		}
		b.docker.Exit(dies, 137)
		b.pass(10 * time.Second)
		if len(b.updates) != 4 {
			t.Errorf("while the Engine was down the agent sent updates: %v", b.states())
		}
		b.docker.Up()
		b.pass(time.Second)
		if len(b.registered) != 2 || len(b.registered[1].Tasks) != 2 {
			t.Errorf("the registrations were %+v, want a second one with both tasks", b.registered)
		}
		b.wantStates("STARTING", "RUNNING", "STARTING", "RUNNING", "FAILED: Container exited with status 137")
		if diff := cmp.Diff([]string{stays}, b.docker.Running()); diff != "" {
			t.Errorf("running containers (-want +got):\n%s", diff)
		}
	})
}

func TestOnlyOwnOrphansAreRemoved(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.launch("t")
		b.stop()
		b.docker.Put(agent.Container{Name: "mesos-orphan", Status: "running", Sandbox: b.dir + "/slaves/x"})
		b.docker.Put(agent.Container{Name: "mesos-stranger", Status: "running", Sandbox: "/var/lib/mesos/slaves/x"})
		b.docker.Put(agent.Container{Name: "mesos-other", Status: "running"})
		b.start()
		names := b.docker.Names()
		if len(names) != 3 || slices.Contains(names, "mesos-orphan") {
			t.Errorf("there are the containers %v, want all but mesos-orphan", names)
		}
	})
}

func TestTasksOfAGoneFrameworkAreDiscarded(t *testing.T) {
	for _, c := range []struct {
		name string
		gone func(*bed, local.TaskRef)
	}{
		{"the master shuts the framework down", func(b *bed, ref local.TaskRef) {
			b.agent.Send(local.Shutdown{FrameworkID: ref.FrameworkID})
			b.settle()
		}},
		{"the master does not know the task", func(b *bed, ref local.TaskRef) {
			b.stop()
			b.unknown = []local.TaskRef{ref}
			b.start()
		}},
		{"the agent gets a new ID", func(b *bed, _ local.TaskRef) {
			b.stop()
			b.id = "agent-2"
			b.start()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				ref := b.launch("t")
				c.gone(b, ref)
				b.pass(time.Second)
				b.wantStates("STARTING", "RUNNING")
				b.wantNothingLeft()
			})
		})
	}
}
