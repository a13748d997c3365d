package agent_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
	"tombolo/framework/local/localtest"
	"tombolo/framework/mesos/mesostest"
	"tombolo/framework/mesos/wire"
)

// recordedTask is a task of a recording: what was asked, and what its agent said.
type recordedTask struct {
	framework mesos.FrameworkInfo
	info      mesos.TaskInfo
	kill      *scheduler.Call_Kill
	said      []mesos.TaskStatus
}

// TestReplayAgent gives each recorded Docker task to our agent, with an Engine that
// does what the recorded one did, and compares what the two agents say of it: state,
// source, reason, health and message, in order.
func TestReplayAgent(t *testing.T) {
	differences := map[string]localtest.Difference{}
	compared := 0
	for _, recording := range mesostest.Recordings(t) {
		folder, _, _ := strings.Cut(recording.Name, "-")
		if folder != "02" && folder != "02b" && folder != "07" {
			continue
		}
		for id, task := range recordedTasks(t, &recording) {
			if len(task.said) == 0 {
				continue // the master refused it
			}
			compared++
			var got []string
			inBubble(t, func(b *bench) { got = task.play(b) })
			want := describeAll(task.said)
			for i := range want {
				want[i] = strings.Replace(want[i], recordedDocker, "docker", 1) // how an agent calls it is its own affair
			}
			if diff := cmp.Diff(want, got); diff != "" {
				differences[folder+"/agent#"+id] = localtest.Difference{Text: diff}
			}
		}
	}
	listed := localtest.Read(t)
	listed.Check(t, differences)
	listed.CheckUsed(t)
	t.Logf("%d of %d tasks match", compared-len(differences), compared)
}

// recordedDocker is how the recorded agent called docker.
const recordedDocker = "/var/mesos-worker/tools/docker-wrap -H unix:///var/run/docker.sock"

func recordedTasks(t *testing.T, r *mesostest.Recording) map[string]*recordedTask {
	tasks := map[string]*recordedTask{}
	var framework mesos.FrameworkInfo
	for i := range r.Exchanges {
		e := &r.Exchanges[i]
		var call scheduler.Call
		if !e.Scheduler() || wire.Unmarshal(e.Body, &call) != nil {
			continue
		}
		switch call.Type {
		case scheduler.Call_SUBSCRIBE:
			framework = *call.Subscribe.FrameworkInfo
			framework.ID = &mesos.FrameworkID{Value: "fw"}
		case scheduler.Call_ACCEPT:
			for _, op := range call.Accept.Operations {
				for _, info := range op.GetLaunch().GetTaskInfos() {
					tasks[info.TaskID.Value] = &recordedTask{framework: framework, info: info}
				}
			}
		case scheduler.Call_KILL:
			if task := tasks[call.Kill.TaskID.Value]; task != nil && task.kill == nil {
				task.kill = call.Kill
			}
		}
	}
	for i := range r.Exchanges {
		said(t, &r.Exchanges[i], tasks)
	}
	return tasks
}

// said notes what agents said on a subscription, once.
func said(t *testing.T, e *mesostest.Exchange, tasks map[string]*recordedTask) {
	if !e.Streamed() || e.Header.Get("Accept") != "application/json" {
		return
	}
	for _, raw := range records(e.Response.Body) {
		var event scheduler.Event
		if err := wire.Unmarshal(raw, &event); err != nil {
			t.Fatal(err)
		}
		status := event.GetUpdate().GetStatus()
		task := tasks[status.TaskID.Value]
		if event.Update == nil || task == nil || len(status.UUID) == 0 {
			continue
		}
		if n := len(task.said); n == 0 || !bytes.Equal(task.said[n-1].UUID, status.UUID) {
			task.said = append(task.said, status)
		}
	}
}

func records(stream []byte) (all [][]byte) {
	reader := wire.NewReader(bytes.NewReader(stream), wire.MaxRecord)
	for {
		record, err := reader.Next()
		if err != nil {
			return all
		}
		all = append(all, bytes.Clone(record))
	}
}

var (
	exitedWith = regexp.MustCompile(`^Container exited with status (\d+)$`)
	pullSaid   = regexp.MustCompile(`(?s) pull \S+': exited with status (\d+); stderr='(.*)'`)
)

// play gives the task to an agent whose Engine does what the recorded one did.
func (r *recordedTask) play(b *bench) []string {
	last := r.said[len(r.said)-1]
	ran, code := false, 0
	for _, s := range r.said {
		ran = ran || s.GetState() == mesos.TASK_RUNNING
	}
	exited := exitedWith.FindStringSubmatch(last.GetMessage())
	if exited != nil {
		code, _ = strconv.Atoi(exited[1])
	}
	switch pulled := pullSaid.FindStringSubmatch(last.GetMessage()); {
	case pulled != nil:
		b.docker.Pull = func(string) (int, string) { return 1, strings.TrimSuffix(pulled[2], "\n") }
	case exited != nil && !ran:
		b.docker.Start = func([]string) (int, string) { return code, "docker: says why" }
	}
	b.docker.Stop = func(string) int { return code }
	ref := b.launch(r.info.TaskID.Value, func(l *local.Launch) {
		l.Framework, l.Task = r.framework, r.info
		l.Task.AgentID = mesos.AgentID{Value: b.id}
	})
	b.pass(time.Second)
	switch {
	case last.GetState() == mesos.TASK_KILLED && r.kill != nil:
		b.agent.Send(local.Kill{TaskRef: ref, Policy: r.kill.KillPolicy})
	case exited != nil && ran && len(b.docker.Running()) == 1:
		b.docker.Exit(b.container(), code)
	}
	b.pass(time.Minute)
	var said []mesos.TaskStatus
	for _, u := range b.updates {
		said = append(said, u.Status)
	}
	b.acknowledge()
	return describeAll(said)
}

func describeAll(said []mesos.TaskStatus) (lines []string) {
	for _, s := range said {
		reason, healthy := "-", "-"
		if s.Reason != nil {
			reason = s.Reason.String()
		}
		if s.Healthy != nil {
			healthy = strconv.FormatBool(*s.Healthy)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s healthy=%s %s", s.GetState(), s.GetSource(), reason, healthy, s.GetMessage()))
	}
	return lines
}
