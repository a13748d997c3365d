package framework

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/deploy"
	"tombolo/framework/store"
	linker "tombolo/linker/api"
	"tombolo/linker/record"
)

// task is a task that has not ended, as far as is known.
type task struct {
	store.Task
	endpoint *record.Endpoint // as last seen in a catalog
	held     bool             // every reachable linker has it, and answers with it
	ill      time.Time        // since when it is seen to be unhealthy; zero: it is not
	killSent time.Time
	ending   *ending
}

// ending is a terminal update whose task's last output is being fetched. Updates
// of the task that come meanwhile are acknowledged with it.
type ending struct{ acks []mesos.TaskStatus }

func (t *task) slot() deploy.SlotID { return deploy.SlotID{Service: t.Service, Slot: t.Slot} }
func (t *task) phase() deploy.Phase { return deploy.Phase(t.Phase) }

// dismissed reports whether we end the task through no fault of its own.
func (t *task) dismissed() bool { return t.Killing && t.Sick.IsZero() }

// end is how a task ended.
type end struct {
	phase  deploy.Phase
	reason string
	exit   int
	fatal  bool // trying again cannot help by itself
	log    []string
	at     time.Time
}

// update takes a status update. It is acknowledged once what it says is stored.
func (f *Framework) update(status mesos.TaskStatus, now time.Time) {
	f.reconcile.answered(status.TaskID.Value)
	t := f.tasks[status.TaskID.Value]
	if t == nil {
		f.stranger(status)
		return
	}
	if t.ending != nil {
		t.ending.acks = append(t.ending.acks, status)
		return
	}
	phase := phaseOf(status, t)
	f.Log.Debug("update", "task", t.ID, "state", status.GetState().String(), "phase", phase, "message", status.GetMessage())
	if id := status.GetContainerStatus().GetContainerID(); id != nil {
		t.Container = "mesos-" + id.Value
	}
	if !phase.Ended() {
		f.advance(t, phase, status, now)
		f.acknowledge(status)
		return
	}
	e := end{phase: phase, at: now}
	e.reason, e.exit, e.fatal = explain(status)
	if phase == deploy.Killed && !t.Sick.IsZero() {
		e.phase, e.reason = deploy.Failed, "was unhealthy"
	}
	t.ending = &ending{acks: []mesos.TaskStatus{status}}
	if logs := f.logsOf(t); logs != nil && !t.dismissed() && phase != deploy.Dropped {
		f.then(func() { f.spawn(func(ctx context.Context) { f.lastLines(ctx, logs, t, e) }) })
		return
	}
	f.finish(t, e)
}

// stranger answers an update of a task that nobody wants: it is ended when it
// may still run.
func (f *Framework) stranger(status mesos.TaskStatus) {
	if phase := phaseOf(status, &task{}); phase.Live() && status.GetState() != mesos.TASK_KILLING {
		f.Log.Warn("killing a task that nobody knows", "task", status.TaskID.Value)
		f.call(calls.Kill(status.TaskID.Value, status.GetAgentID().GetValue()))
	}
	f.acknowledge(status)
}

func (f *Framework) acknowledge(status mesos.TaskStatus) {
	if len(status.UUID) == 0 || status.AgentID == nil {
		return
	}
	f.call(calls.Acknowledge(status.AgentID.Value, status.TaskID.Value, status.UUID))
}

// phaseOf translates what the master says of t.
func phaseOf(status mesos.TaskStatus, t *task) deploy.Phase {
	switch status.GetState() {
	case mesos.TASK_STAGING, mesos.TASK_STARTING:
		if t.phase() == deploy.Running {
			return deploy.Running // an answer that was overtaken
		}
		return deploy.Staging
	case mesos.TASK_RUNNING, mesos.TASK_KILLING:
		return deploy.Running
	case mesos.TASK_FINISHED:
		return deploy.Finished
	case mesos.TASK_KILLED:
		return deploy.Killed
	case mesos.TASK_UNREACHABLE:
		return deploy.Lost
	case mesos.TASK_LOST, mesos.TASK_UNKNOWN:
		return missing(status, t)
	case mesos.TASK_DROPPED, mesos.TASK_GONE, mesos.TASK_GONE_BY_OPERATOR:
		return deploy.Dropped
	}
	return deploy.Failed // TASK_FAILED, TASK_ERROR
}

// missing tells a task that the cluster does not have from one that is out of
// sight: the first never ran or is over, the second may come back.
func missing(status mesos.TaskStatus, t *task) deploy.Phase {
	switch status.GetReason() {
	case mesos.REASON_INVALID_OFFERS, mesos.REASON_TASK_UNKNOWN, mesos.REASON_MASTER_DISCONNECTED:
		return deploy.Dropped
	case mesos.REASON_RECONCILIATION:
		if t.phase() == deploy.Lost {
			return deploy.Lost
		}
		return deploy.Dropped
	}
	if t.phase() == deploy.Launched {
		return deploy.Dropped
	}
	return deploy.Lost
}

func (f *Framework) advance(t *task, phase deploy.Phase, status mesos.TaskStatus, now time.Time) {
	if agent := status.GetAgentID().GetValue(); agent != "" {
		t.Agent = agent
	}
	if phase != t.phase() {
		f.Log.Info("task changed", "task", t.ID, "host", t.Host, "phase", phase)
		t.Phase, t.Since, t.Reason = string(phase), now, ""
	}
	switch {
	case phase == deploy.Lost:
		t.Reason = t.Host + " is unreachable"
	case phase == deploy.Running && t.Started.IsZero():
		t.Started = now
		f.pin(t)
	}
	f.batch.PutTask(t.Task)
}

// finish stores the end of a task and forgets it.
func (f *Framework) finish(t *task, e end) {
	if d := f.apps[t.App]; d != nil {
		if slot := d.slots[t.slot()]; t.Generation >= slot.Generation {
			d.slots[t.slot()] = f.closed(d, t, slot, e)
			f.batch.PutSlot(d.slots[t.slot()])
		}
	}
	f.Log.Info("task ended", "task", t.ID, "host", t.Host, "phase", e.phase, "reason", e.reason)
	f.batch.DeleteTask(t.ID)
	delete(f.tasks, t.ID)
	if t.ending != nil {
		for _, status := range t.ending.acks {
			f.acknowledge(status)
		}
	}
}

// expunge ends what is lost for good: its host is back under another agent, which
// knows nothing of the tasks of the one before.
func (f *Framework) expunge(now time.Time) {
	for _, t := range f.tasks {
		if h := f.hosts[t.Host]; t.phase() == deploy.Lost && h != nil && h.agent != "" && h.agent != t.Agent {
			f.finish(t, end{phase: deploy.Dropped, reason: t.Host + " came back as another agent", at: now})
		}
	}
}

func (f *Framework) closed(d *deployment, t *task, slot store.Slot, e end) store.Slot {
	ran := time.Duration(0)
	switch {
	case !t.Sick.IsZero():
		ran = max(t.Sick.Sub(t.Started), 0) // what it did after that does not count
	case !t.Started.IsZero():
		ran = e.at.Sub(t.Started)
	}
	history := deploy.Slot{Failures: slot.Failures}.After(deploy.End{
		Phase: e.phase, Spec: t.Spec, At: e.at, Ran: ran, Reason: e.reason,
		Asked: t.dismissed(), Restart: d.App.App.Services[t.Service].Restart,
	})
	slot.Restarts++
	slot.Failures, slot.Ended, slot.Spec, slot.Outcome = history.Failures, e.at, t.Spec, string(e.phase)
	slot.ExitCode, slot.Reason, slot.Fatal, slot.Log = e.exit, e.reason, e.fatal, e.log
	return slot
}

// logsOf returns who has a task's output, or nil.
func (f *Framework) logsOf(t *task) Logs {
	w := f.linkers[t.Host]
	if w == nil || !w.up || t.Container == "" {
		return nil
	}
	return w.Linker.Logs
}

// lastLines fetches what a task said before it ended, for as long as that is
// allowed to take: the agent keeps the container until the acknowledgement.
func (f *Framework) lastLines(ctx context.Context, logs Logs, t *task, e end) {
	ctx, cancel := context.WithTimeout(ctx, logsWait)
	defer cancel()
	err := logs.Logs(ctx, t.Container, linker.LogOptions{Tail: logsTail}, func(line linker.LogLine) error {
		if len(e.log) == logsTail {
			e.log = e.log[1:]
		}
		e.log = append(e.log, strings.TrimRight(line.Line, "\r\n"))
		return nil
	})
	if err != nil {
		f.Log.Debug("no last lines", "task", t.ID, "err", err)
	}
	f.inbox.put(func() {
		if f.tasks[t.ID] == t {
			f.finish(t, e)
		}
	})
}

var (
	exitStatus = regexp.MustCompile(`exited with status (\d+)`)
	pullFailed = regexp.MustCompile(`(?s) pull (\S+)': exited with status \d+; stderr='(.*?)\s*'?\s*$`)
)

// explain makes a reason for people out of a terminal update.
func explain(status mesos.TaskStatus) (reason string, exit int, fatal bool) {
	message := strings.TrimSpace(status.GetMessage())
	if m := pullFailed.FindStringSubmatch(message); m != nil {
		said := strings.TrimPrefix(m[2], "Error response from daemon: ")
		return "image " + m[1] + " cannot be pulled: " + said, 0, true
	}
	if status.GetState() == mesos.TASK_FINISHED {
		return "exited with status 0", 0, false
	}
	if status.GetState() == mesos.TASK_ERROR {
		return message, 0, true
	}
	message = strings.ReplaceAll(message, "docker: Error response from daemon: ", "")
	if m := exitStatus.FindStringSubmatch(message); m != nil {
		exit, _ = strconv.Atoi(m[1]) // digits, and 0 should they overflow
		if message == "Container "+m[0] || message == "Command "+m[0] {
			return m[0], exit, false
		}
	}
	if message == "" {
		message = strings.ToLower(strings.TrimPrefix(status.GetState().String(), "TASK_"))
	}
	return message, exit, false
}
