package framework

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/internal/wake"
	linker "tombolo/linker/api"
)

// Engine asks the Docker Engine of a host, through the host's linker.
type Engine interface {
	// Container returns an error that wraps linker/api.ErrNotFound if there is none.
	Container(ctx context.Context, container string) (linker.Container, error)
	Volume(ctx context.Context, name string) (linker.Volume, error)
	Version(ctx context.Context) (linker.EngineVersion, error)
}

const (
	engineWait   = 3 * time.Second  // for an answer of an Engine
	examineAfter = 5 * time.Second  // of running without being up, before the Engine is asked why
	examineAgain = 10 * time.Second // before it is asked again
)

// examiner asks the Engines what is wrong with tasks that run and are not up.
type examiner struct {
	model   *model
	linkers linkers
	queue   *wake.Queue[func()]
	spawn   func(func(context.Context)) // starts a goroutine that Run waits for
	log     *slog.Logger
}

// examination is what an Engine has said about a task that is not up.
type examination struct {
	finding string    // for users; "": nothing is wrong, or nobody has looked
	asked   time.Time // the last question; zero: none
}

// examine asks about the tasks of apps for which it is time, and forgets what was found of tasks
// that are up.
func (x *examiner) examine(apps []*deployment, now time.Time) {
	for _, d := range apps {
		for _, t := range x.model.index.apps[d.Wanted.Name] {
			if t.phase() != deploy.Running || t.up || t.Killing {
				t.examined = examination{}
				continue
			}
			x.model.wakeAt(d, x.examineTask(t, now))
		}
	}
}

// examineTask asks about a task if it is time, and returns when to do so again.
func (x *examiner) examineTask(t *task, now time.Time) (again time.Time) {
	due := t.Started.Add(examineAfter)
	switch {
	case !t.examined.asked.IsZero():
		due = t.examined.asked.Add(examineAgain)
	case !t.unhealthySince.IsZero():
		due = now
	}
	if now.Before(due) {
		return due
	}
	t.examined.asked = now
	if engine := x.linkers.engine(t.Host); engine != nil && t.Container != "" {
		id, container := t.ID, t.Container // an update may change the task meanwhile
		x.spawn(func(ctx context.Context) { x.ask(ctx, engine, id, container) })
	}
	return now.Add(examineAgain)
}

func (x *examiner) ask(ctx context.Context, engine Engine, id, container string) {
	ctx, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	c, err := engine.Container(ctx, container)
	if err != nil {
		x.log.Debug("a container cannot be examined", "task", id, "err", err)
		return
	}
	x.queue.Put(func() {
		if t := x.model.tasks[id]; t != nil && x.model.apps[t.App] != nil {
			onOverlay := x.model.apps[t.App].Wanted.Services[t.Service].NetworkMode == ""
			x.found(id, finding(c, container, onOverlay))
		}
	})
}

// found notes what is wrong with a task; "": nothing.
func (x *examiner) found(id, finding string) {
	if t := x.model.tasks[id]; t != nil && t.examined.finding != finding {
		t.examined.finding = finding
		x.model.touch(t.App)
	}
}

// finding says what keeps a container from work, or returns "". onOverlay says that it should
// be on the overlay's network.
func finding(c linker.Container, name string, onOverlay bool) string {
	switch {
	case c.Status == "paused":
		return "its container is paused (to let it go on: docker unpause " + name + ")"
	case c.Status == "running" && onOverlay && !c.Attached:
		return fmt.Sprintf("its container was disconnected from the network %s (to connect it again: docker network connect %[1]s %s)", network, name)
	case c.Failed == nil:
		return ""
	case c.Failed.Exit < 0 && c.Failed.Output == "":
		return "its health check takes too long"
	case c.Failed.Exit < 0:
		return "its health check fails: " + c.Failed.Output
	case c.Failed.Output == "":
		return fmt.Sprintf("its health check fails with status %d and prints nothing", c.Failed.Exit)
	}
	return fmt.Sprintf("its health check fails with status %d: %s", c.Failed.Exit, c.Failed.Output)
}

// engine returns where the Engine of a host can be asked, or nil.
func (l linkers) engine(host string) Engine {
	if c := l[host]; c != nil && c.up {
		return c.api.Engine
	}
	return nil
}

// The first version of the Engine's API with start_interval, which is that of Engine 25.
const startIntervalAPI = 44 // 1.44

// startIntervals reports whether the Engine of a host is known to have start_interval. The
// docker command of an older one refuses it.
func (l linkers) startIntervals(host string) bool {
	c := l[host]
	if c == nil {
		return false
	}
	minor, ok := strings.CutPrefix(c.engineAPI, "1.")
	n, err := strconv.Atoi(minor)
	return ok && err == nil && n >= startIntervalAPI
}

// forHost returns the app as it is launched on a host: without the start_interval of a service
// if the Engine there does not have it. Health checks are then as frequent as later.
func (l linkers) forHost(wanted app.App, service, host string) app.App {
	s := wanted.Services[service]
	if s.Health == nil || s.Health.StartInterval == 0 || l.startIntervals(host) {
		return wanted
	}
	health := *s.Health
	health.StartInterval = 0
	s.Health = &health
	one := wanted
	one.Services = map[string]app.Service{service: s}
	return one
}

// leftOut returns warnings that name the services and hosts where start_interval is left out.
func (l linkers) leftOut(wanted app.App, tasks []*task) (list []string) {
	said := map[string]bool{}
	for _, t := range tasks {
		s := wanted.Services[t.Service]
		if s.Health == nil || s.Health.StartInterval == 0 || l.startIntervals(t.Host) {
			continue
		}
		text := fmt.Sprintf("%s: healthcheck.start_interval is left out on %s, because its Docker Engine is older than 25 or unknown", t.Service, t.Host)
		if !said[text] {
			said[text] = true
			list = append(list, text)
		}
	}
	return list
}
