package framework

import (
	"context"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/internal/text"
	"tombolo/internal/wake"
	linker "tombolo/linker/api"
)

const (
	logsWait = 2 * time.Second // for the last output of a task that failed
	logsTail = 20              // lines of it
	maxLine  = 500             // bytes of each: the rest of a longer one is not kept

	maxReason = 2000 // bytes of the reason why a task ended
)

// updater takes the status updates of tasks. It acknowledges each once it is stored.
type updater struct {
	model   *model
	linkers linkers
	out     *outbox
	queue   *wake.Queue[func()]
	spawn   func(func(context.Context)) // starts a goroutine that Run waits for
	log     *slog.Logger
}

func (u *updater) update(status mesos.TaskStatus, now time.Time) {
	t := u.model.tasks[status.TaskID.Value]
	if t == nil {
		u.killUnknown(status)
		return
	}
	if t.ending != nil {
		t.ending = append(t.ending, status)
		return
	}
	phase := phaseOf(status, t.phase())
	u.log.Debug("update", "task", t.ID, "state", status.GetState().String(), "phase", phase, "message", status.GetMessage())
	if id := status.GetContainerStatus().GetContainerID(); id != nil {
		u.model.setContainer(t, "mesos-"+id.Value)
	}
	if !phase.Ended() {
		if phase != t.phase() {
			u.log.Info("task changed", "task", t.ID, "host", t.Host, "phase", phase)
		}
		u.model.advance(t, phase, status.GetAgentID().GetValue(), now)
		u.model.keep(t, keptVolumes(t.Task, status))
		u.acknowledge(status)
		return
	}
	e := end{phase: phase, at: now}
	e.reason, e.exit, e.fatal = explain(status)
	e.refused = refusedByAgent(status)
	if phase == deploy.Killed && !t.KilledUnhealthySince.IsZero() {
		e.phase, e.reason = deploy.Failed, "was unhealthy"
		if t.lastFinding != "" {
			e.reason += ": " + t.lastFinding
		}
	}
	t.ending = []mesos.TaskStatus{status}
	if logs := u.linkers.logs(t.Host); logs != nil && t.Container != "" && !t.dismissed() && phase != deploy.Dropped {
		u.out.then(func() { u.spawn(func(ctx context.Context) { u.readLastLines(ctx, logs, t, e) }) })
		return
	}
	if u.linkers[t.Host] == nil && len(u.linkers) > 0 && t.Container != "" && !t.dismissed() && phase != deploy.Dropped {
		e.log = []string{"(its last lines are not shown: " + unreachable(t.Host, t.Container) + ")"}
	}
	u.finish(t, e)
}

// refused ends tasks whose ACCEPT the master has refused as a whole. Their slots get other
// ones, after the back-off of any failure.
func (u *updater) refused(tasks []string, err error, now time.Time) {
	for _, id := range tasks {
		if t := u.model.tasks[id]; t != nil && t.phase() == deploy.Launched {
			e := end{phase: deploy.Dropped, reason: "the master refused the launch: " + err.Error(), refused: true, at: now}
			u.finish(t, e)
		}
	}
}

// killUnknown answers an update of a task that the framework does not know: it kills
// the task if it may still run.
func (u *updater) killUnknown(status mesos.TaskStatus) {
	if phaseOf(status, "").Live() && status.GetState() != mesos.TASK_KILLING {
		u.log.Warn("killing a task that the framework does not know", "task", status.TaskID.Value)
		u.out.call(calls.Kill(status.TaskID.Value, status.GetAgentID().GetValue()))
	}
	u.acknowledge(status)
}

// acknowledge acknowledges an update of an agent. The master's own have no UUID and need
// no acknowledgement.
func (u *updater) acknowledge(status mesos.TaskStatus) {
	if len(status.UUID) > 0 && status.AgentID != nil {
		u.out.call(calls.Acknowledge(status.AgentID.Value, status.TaskID.Value, status.UUID))
	}
}

// finish stores the end of a task and forgets the task.
func (u *updater) finish(t *task, e end) {
	e.reason = text.Shorten(e.reason, maxReason)
	u.model.endTask(t, e)
	if e.refused && u.model.hostDropped(t.Host, e.reason, e.at) {
		u.log.Warn("host rests: its agent refuses launches", "host", t.Host, "until", u.model.host(t.Host).rests, "reason", e.reason)
	}
	u.log.Info("task ended", "task", t.ID, "host", t.Host, "phase", e.phase, "reason", e.reason)
	for _, status := range t.ending {
		u.acknowledge(status)
	}
}

// readLastLines reads the last output of a task before its end is stored: the agent
// keeps the container only until the end is acknowledged.
func (u *updater) readLastLines(ctx context.Context, logs Logs, t *task, e end) {
	ctx, cancel := context.WithTimeout(ctx, logsWait)
	defer cancel()
	err := logs.Logs(ctx, t.Container, linker.LogOptions{Tail: logsTail}, func(line linker.LogLine) error {
		if len(e.log) == logsTail {
			e.log = e.log[1:]
		}
		e.log = append(e.log, text.Shorten(strings.TrimRight(line.Line, "\r\n"), maxLine))
		return nil
	})
	if err != nil {
		u.log.Debug("no last output of a task", "task", t.ID, "err", err)
	}
	u.queue.Put(func() {
		if u.model.tasks[t.ID] == t {
			u.finish(t, e)
		}
	})
}

// dropReplaced ends the lost tasks of hosts that are back under another agent, which
// does not have the tasks of the agent before it.
func (u *updater) dropReplaced(now time.Time) {
	if !u.model.dirty.agents {
		return
	}
	u.model.dirty.agents = false
	for _, t := range u.model.tasks {
		if h := u.model.hosts[t.Host]; t.phase() == deploy.Lost && h != nil && h.agent != "" && h.agent != t.Agent {
			u.finish(t, end{phase: deploy.Dropped, reason: t.Host + " came back as another agent", at: now})
		}
	}
}

// dropAll ends all tasks, because the master has removed the framework.
func (u *updater) dropAll(now time.Time) {
	for _, t := range sorted(u.model.tasks) {
		u.finish(t, end{phase: deploy.Dropped, reason: "ended with its framework", at: now})
	}
}

var (
	exitStatus = regexp.MustCompile(`exited with status (\d+)`)
	notOnHost  = regexp.MustCompile(`^Failed to launch container: (image (\S+) is not on this host)$`)
	pullFailed = regexp.MustCompile(`(?s) pull (\S+)': exited with status \d+; stderr='(.*?)\s*'?\s*$`)
)

// explain returns what a terminal update means to a user. fatal says that another
// attempt fails too unless something outside changes.
func explain(status mesos.TaskStatus) (reason string, exit int, fatal bool) {
	message := strings.TrimSpace(status.GetMessage())
	if m := pullFailed.FindStringSubmatch(message); m != nil {
		said := strings.TrimPrefix(m[2], "Error response from daemon: ")
		return "image " + m[1] + " cannot be pulled: " + said, 0, true
	}
	if m := notOnHost.FindStringSubmatch(message); m != nil {
		if strings.HasPrefix(m[2], app.BuiltHere) {
			return m[1] + " any more (to build it again: tombolo up)", 0, true
		}
		return m[1] + ", and its service never pulls it", 0, true
	}
	if status.GetState() == mesos.TASK_FINISHED {
		return "exited with status 0", 0, false
	}
	if status.GetState() == mesos.TASK_ERROR {
		return message, 0, true
	}
	message = strings.ReplaceAll(message, "docker: Error response from daemon: ", "")
	if m := exitStatus.FindStringSubmatch(message); m != nil {
		exit, _ = strconv.Atoi(m[1]) // the expression matches digits; too many give 0
		if message == "Container "+m[0] || message == "Command "+m[0] {
			return m[0], exit, false
		}
	}
	if message == "" {
		message = strings.ToLower(strings.TrimPrefix(status.GetState().String(), "TASK_"))
	}
	return message, exit, false
}
