package agent_test

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
	"tombolo/framework/mesos/mesostest"
	"tombolo/framework/mesos/wire"
)

// recordedTask is a task of a recording, with the calls for it and its updates.
type recordedTask struct {
	framework mesos.FrameworkInfo
	info      mesos.TaskInfo
	kill      *scheduler.Call_Kill // nil: it was not killed
	updates   []mesos.TaskStatus
}

// deviations are the tasks for which our agent sends other updates than the recorded
// agent: path.Match patterns of FOLDER/TASK, with the reasons.
var deviations = map[string]string{
	"02/bad-binary":                   dockersMessage,
	"02/bad-parameter":                dockersMessage,
	"02/user-net-missing":             dockersMessage,
	"02b/m-param-emptyvalue":          dockersMessage,
	"02b/m-parameters-second-network": dockersMessage,
	"02b/m-privileged":                dockersMessage,
	"02b/m-uri":                       noFetcher,
	"02b/m-uri-bad":                   noFetcher,
	"07/check-cmd":                    "our agent ignores check; Mesos aborts the executor of a Docker task that has one",
	"07/hc-*":                         "our agent ignores health_check: linkers use the health checks of Docker",
}

const (
	dockersMessage = "Docker's own message follows the exit status"
	noFetcher      = "our agent has no fetcher: it refuses URIs"
)

// TestReplay launches each recorded Docker task on our agent, with an Engine that does
// the same as the recorded one. It compares the updates of the two agents: state, source,
// reason, health and message, in order. A difference that deviations does not list fails,
// and so does a deviation without a difference.
func TestReplay(t *testing.T) {
	differ := map[string]bool{} // by pattern of deviations
	for _, recording := range mesostest.Recordings(t) {
		folder, _, _ := strings.Cut(recording.Name, "-")
		if folder != "02" && folder != "02b" && folder != "07" {
			continue
		}
		for id, task := range recordedTasks(t, &recording) {
			if len(task.updates) == 0 {
				continue // the master refused the task
			}
			var got []string
			inBubble(t, func(b *bed) { got = task.play(b) })
			want := describeAll(task.updates)
			for i := range want {
				want[i] = strings.Replace(want[i], recordedDocker, "docker", 1) // the two agents call docker differently
			}
			diff := cmp.Diff(want, got)
			pattern, listed := deviationOf(folder + "/" + id)
			switch {
			case diff != "" && listed:
				differ[pattern] = true
			case diff != "":
				t.Errorf("the updates of task %s/%s differ (-recorded +ours):\n%s", folder, id, diff)
			}
		}
	}
	for pattern, reason := range deviations {
		if !differ[pattern] {
			t.Errorf("deviations lists %s (%s), but nothing differs there any more: remove it", pattern, reason)
		}
	}
}

// deviationOf returns the pattern in deviations that matches FOLDER/TASK.
func deviationOf(name string) (pattern string, listed bool) {
	for pattern := range deviations {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return pattern, true
		}
	}
	return "", false
}

// recordedDocker is the docker command of the recorded agent.
const recordedDocker = "/var/mesos-worker/tools/docker-wrap -H unix:///var/run/docker.sock"

// recordedTasks returns the tasks of a recording by their ID.
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
		collectUpdates(t, &r.Exchanges[i], tasks)
	}
	return tasks
}

// collectUpdates adds the updates that agents sent on a stream to their tasks, without
// repetitions.
func collectUpdates(t *testing.T, e *mesostest.Exchange, tasks map[string]*recordedTask) {
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
		if n := len(task.updates); n == 0 || !bytes.Equal(task.updates[n-1].UUID, status.UUID) {
			task.updates = append(task.updates, status)
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
	pullFailed = regexp.MustCompile(`(?s) pull \S+': exited with status (\d+); stderr='(.*)'`)
)

// play runs the task on an agent whose Engine does the same as the recorded one.
func (r *recordedTask) play(b *bed) []string {
	last := r.updates[len(r.updates)-1]
	ran, code := false, 0
	for _, s := range r.updates {
		ran = ran || s.GetState() == mesos.TASK_RUNNING
	}
	exited := exitedWith.FindStringSubmatch(last.GetMessage())
	if exited != nil {
		code, _ = strconv.Atoi(exited[1])
	}
	switch pulled := pullFailed.FindStringSubmatch(last.GetMessage()); {
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
	var updates []mesos.TaskStatus
	for _, u := range b.updates {
		updates = append(updates, u.Status)
	}
	b.acknowledge()
	return describeAll(updates)
}

func describeAll(updates []mesos.TaskStatus) (lines []string) {
	for _, s := range updates {
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
