package frameworktest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	linker "tombolo/linker/api"
	"tombolo/linker/record"
)

func (t *task) run() {
	b := t.behaviour
	if b.Drop != "" {
		t.c.after(10*time.Millisecond, func() { t.end(mesos.TASK_DROPPED, b.Drop) })
		return
	}
	if b.Pull != "" {
		t.c.after(b.Start, func() {
			t.end(mesos.TASK_FAILED, fmt.Sprintf("Failed to launch container: Failed to run 'docker pull %s': exited with status 1; stderr='%s\n'", t.info.Container.Docker.Image, b.Pull))
		})
		return
	}
	t.c.after(10*time.Millisecond, func() { t.setState(mesos.TASK_STARTING, "") })
	t.c.after(10*time.Millisecond+b.Start, func() {
		if terminal(t.state) || !t.host.alive {
			return
		}
		t.running, t.started, t.health = true, time.Now(), record.HealthNone
		if b.Healthy > 0 || b.Unhealthy > 0 {
			t.health = record.HealthStarting
		}
		t.useVolumes()
		t.say("I am " + t.container)
		t.say("something is wrong")
		if b.Last != "" {
			t.say(b.Last)
		}
		t.setState(mesos.TASK_RUNNING, "")
		t.c.gossip()
		t.setHealth(b.Healthy, record.HealthHealthy)
		t.setHealth(b.Unhealthy, record.HealthUnhealthy)
		if b.Run > 0 {
			t.c.after(b.Run, func() {
				state := mesos.TASK_FAILED
				switch {
				case b.Exit == 0:
					state = mesos.TASK_FINISHED
				case t.c.calm:
					return
				}
				t.end(state, fmt.Sprintf("Container exited with status %d", b.Exit))
			})
		}
	})
}

// useVolumes makes the volumes of a task that its host does not have.
func (t *task) useVolumes() {
	for _, p := range t.info.Container.Docker.Parameters {
		for field := range strings.SplitSeq(p.Value, ",") {
			if volume, ok := strings.CutPrefix(field, "source="); ok && p.Key == "mount" {
				if t.host.volumes == nil {
					t.host.volumes = map[string]bool{}
				}
				t.host.volumes[volume] = true
			}
		}
	}
}

func (t *task) say(text string) {
	// As with Docker, all lines have different times.
	t.output = append(t.output, linker.LogLine{Stream: "stderr", Time: time.Now().Add(time.Duration(len(t.output))), Line: text})
}

// setHealth sets the result of a task's health check after a time; 0: never.
func (t *task) setHealth(after time.Duration, health record.Health) {
	if after == 0 {
		return
	}
	t.c.after(after, func() {
		if health == record.HealthUnhealthy && t.c.calm {
			health = record.HealthHealthy
		}
		t.health = health
		t.c.gossip()
	})
}

func (t *task) end(state mesos.TaskState, message string) {
	if terminal(t.state) || !t.host.alive {
		return
	}
	t.running = false
	t.setState(state, message)
	t.c.gossip()
}

// setState makes the agent send an update until it is acknowledged.
func (t *task) setState(state mesos.TaskState, message string) {
	if terminal(t.state) {
		return
	}
	t.state = state
	t.report(state, message)
}

// push sends a task's oldest update, and again later unless it is acknowledged.
func (t *task) push() {
	if len(t.pending) == 0 || !t.host.joined {
		return
	}
	status := t.pending[0]
	event := scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: status}}
	name := t.info.TaskID.Value + " " + status.GetState().String()
	if !t.c.chance(t.c.options.Gaps, "lose "+name) {
		t.c.master.forward(event, name)
	}
	if t.c.chance(t.c.options.Repeat, "repeat "+name) {
		t.c.master.forward(event, name)
	}
	t.c.after(10*time.Second, func() {
		if len(t.pending) > 0 && bytes.Equal(t.pending[0].UUID, status.UUID) {
			t.push()
		}
	})
}

func (h *host) pushAll() {
	for _, id := range slices.Sorted(maps.Keys(h.tasks)) {
		t := h.tasks[id]
		t.missing()
		t.push()
	}
}

// check notes a violation if the task must not be launched.
func (c *Cluster) check(info mesos.TaskInfo) {
	slot, app := slotOf(info.TaskID.Value)
	if stored, forbidden := c.forbidden[app]; forbidden && !slices.Contains(stored, info.TaskID.Value) {
		c.violate("%s launched after its app was removed", info.TaskID.Value)
	}
	if c.options.Stored != nil && !c.options.Stored(info.TaskID.Value) {
		c.violate("%s launched before it was stored", info.TaskID.Value)
	}
	for _, h := range c.hosts {
		for id, t := range h.tasks {
			// A task that has ended does not hold its slot, also while its end is not
			// acknowledged. Neither does one that was given up as lost: the framework
			// replaces it, and kills it if it returns.
			excused := t.lost && (c.options.Exclusive == nil || !c.options.Exclusive(info))
			if other, _ := slotOf(id); other == slot && !terminal(t.state) && h.alive && !excused {
				c.violate("%s launched while %s is alive on %s", info.TaskID.Value, id, h.name)
			}
		}
	}
}

func slotOf(id string) (slot, app string) {
	cut := strings.LastIndex(id, ".g")
	app, _, _ = strings.Cut(id, ".")
	return id[:cut], app
}

func (c *Cluster) violate(format string, args ...any) {
	c.violations = append(c.violations, fmt.Sprintf(format, args...))
}

// endpoint returns a task's record in the catalog; nil: its labels are invalid.
func (t *task) endpoint() *record.Endpoint {
	labels := map[string]string{}
	for _, p := range t.info.Container.Docker.Parameters {
		if name, value, ok := strings.Cut(p.Value, "="); ok && p.Key == "label" {
			labels[name] = value
		}
	}
	e, err := record.FromLabels(labels)
	if err != nil {
		return nil
	}
	e.ID, e.Host, e.Container, e.Running, e.Started = t.container, t.host.name, t.container, !t.paused, t.started
	e.Health = t.health
	return &e
}
