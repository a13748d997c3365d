package agent_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/framework/local/agent/agenttest"
)

func TestTaskIsLaunchedAndKilled(t *testing.T) {
	inBubble(t, func(b *bed) {
		ref := b.launch("t", func(l *local.Launch) {
			l.Framework.Capabilities = []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE}}
			l.Task.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: int64(2500 * time.Millisecond)}}
		})
		b.wantStates("STARTING", "RUNNING")
		b.kill(ref)
		b.wantStates("STARTING", "RUNNING", "KILLING", "KILLED: Container exited with status 143")
		if names := b.docker.Names(); len(names) > 0 {
			t.Errorf("the container %v still existed when TASK_KILLED was sent", names)
		}

		running := b.updates[1].Status
		if !strings.HasPrefix(string(running.Data), "[\n    {") {
			t.Errorf("the data of TASK_RUNNING is not the output of docker inspect: %s", running.Data)
		}
		address := func(i int) string {
			return b.updates[i].Status.ContainerStatus.NetworkInfos[0].IPAddresses[0].GetIPAddress()
		}
		want := []string{"198.18.0.11", "100.64.0.1", "198.18.0.11"} // as recorded: the agent's address, except for TASK_RUNNING
		if diff := cmp.Diff(want, []string{address(0), address(1), address(3)}); diff != "" {
			t.Errorf("addresses of STARTING, RUNNING and KILLED (-want +got):\n%s", diff)
		}
		if got := running.ContainerStatus.NetworkInfos[0].GetName(); got != "tombolo" {
			t.Errorf("TASK_RUNNING names the network %q, want tombolo", got)
		}
		stops := b.docker.Commands("stop")
		if len(stops) == 0 || !slices.Equal(stops[0][:3], []string{"stop", "-t", "3"}) {
			t.Errorf("docker stop was called with %v, want first stop -t 3: the grace period of 2.5 s, rounded up", stops)
		}
		b.acknowledge()
		b.wantNothingLeft()
	})
}

func TestContainerThatExits(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.launch("t")
		b.docker.Exit(b.container(), 3)
		b.settle()
		b.wantStates("STARTING", "RUNNING", "FAILED: Container exited with status 3")
		b.acknowledge()
		b.container() // it stays for RemoveDelay, so that its output can be read
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
		{"its image does not exist", func(d *agenttest.Docker) {
			d.Pull = func(string) (int, string) { return 1, "Error response from daemon: no such host" }
		}, []string{"FAILED: Failed to launch container: Failed to run 'docker pull img': exited with status 1; stderr='Error response from daemon: no such host\n'"}},
		{"docker run fails", func(d *agenttest.Docker) {
			d.Start = func([]string) (int, string) {
				return 125, "docker: Error response from daemon: network tombolo not found.\nSee 'docker run --help'."
			}
		}, []string{"STARTING", "FAILED: Container exited with status 125: docker: Error response from daemon: network tombolo not found."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				c.docker(b.docker)
				b.launch("t")
				b.wantStates(c.want...)
				b.acknowledge()
				b.pass(time.Minute)
				b.wantNothingLeft()
			})
		})
	}
	t.Run("its image is missing and must not be pulled", func(t *testing.T) {
		inBubble(t, func(b *bed) {
			b.docker.Pull = func(string) (int, string) { return 0, "" }
			b.launch("t", func(l *local.Launch) {
				l.Task.Container.Docker.Parameters = []mesos.Parameter{{Key: "pull", Value: "never"}}
			})
			b.wantStates("FAILED: Failed to launch container: image img is not on this host")
			if pulls := b.docker.Commands("pull"); len(pulls) > 0 {
				t.Errorf("the agent ran %v, although the task forbids it", pulls)
			}
		})
	})
	t.Run("it has URIs", func(t *testing.T) {
		inBubble(t, func(b *bed) {
			b.launch("t", func(l *local.Launch) { l.Task.Command.URIs = []mesos.CommandInfo_URI{{Value: "file:///etc/hostname"}} })
			if got := strings.Join(b.states(), ""); !strings.HasPrefix(got, "FAILED: Failed to launch container: Failed to fetch all URIs for container '") {
				t.Errorf("a task with URIs got the updates %s, want a failed launch", got)
			}
		})
	})
	t.Run("docker has no options for it", func(t *testing.T) {
		inBubble(t, func(b *bed) {
			b.launch("t", func(l *local.Launch) { l.Task.Container.NetworkInfos = nil })
			b.wantStates("STARTING", "FAILED: Failed to create docker run options: No network info found in container info")
		})
	})
}

func TestKillWhilePulling(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.docker.Down() // the launch waits for the Engine
		ref := b.launch("t")
		b.kill(ref)
		b.docker.Up()
		b.pass(2 * time.Second)
		b.wantStates("KILLED: Killed before its container started")
		if len(b.docker.Commands("run")) > 0 {
			t.Error("the container was started although its task had been killed")
		}
	})
}
