package framework

import (
	"context"
	"fmt"
	"maps"
	"time"

	"tombolo/framework/deploy"
	"tombolo/internal/wake"
)

// volumeFresh is how long an answer about a volume counts while a launch waits for a host.
const volumeFresh = 5 * time.Second

// volumeGuard holds up launches whose volume is not where it was. Docker would make a new one,
// and a database would start empty without a word.
type volumeGuard struct {
	model   *model
	linkers linkers
	queue   *wake.Queue[func()]
	spawn   func(func(context.Context)) // starts a goroutine that Run waits for
	wakeAt  func(time.Time)             // asks for another decision at a time
	answers map[string]*volumeAnswer    // by volume
}

// volumeAnswer is what the Engine of a volume's host says.
type volumeAnswer struct {
	asked    time.Time
	answered bool
	exists   bool
	err      error // why the Engine could not be asked
}

// hold returns the launches that may go on. It notes in the apps why the others wait. An
// answer counts for one launch: before the next one of that volume, it asks again.
func (g *volumeGuard) hold(launches []launch, now time.Time) (free []launch) {
	wanted := map[string]bool{}
	for _, l := range launches {
		d := g.model.apps[l.app]
		reason, lost := "", false
		for _, volume := range localVolumes(d.Wanted, d.Wanted.Services[l.Service]) {
			wanted[volume] = true
			if why, gone := g.look(d, volume, now); why != "" && !lost {
				reason, lost = why, gone
			}
		}
		if reason == "" {
			free = append(free, l)
			continue
		}
		d.refusals[l.SlotID] = reason
		if lost {
			d.lostVolume[l.SlotID] = true
		}
	}
	maps.DeleteFunc(g.answers, func(volume string, _ *volumeAnswer) bool { return !wanted[volume] })
	return free
}

// look returns why a launch with a volume has to wait, and whether the volume is gone. A
// volume with which no task has run yet may be made. If the host's linker does not answer
// to this framework, nothing can be said about the volume.
func (g *volumeGuard) look(d *deployment, volume string, now time.Time) (reason string, gone bool) {
	host := g.model.pins[volume]
	engine := g.linkers.engine(host)
	if host == "" || engine == nil {
		return "", false
	}
	a := g.answers[volume]
	if a == nil || a.answered && !now.Before(a.asked.Add(volumeFresh)) {
		next := &volumeAnswer{asked: now}
		if a != nil { // keep the old answer until the new one comes
			next.answered, next.exists, next.err = a.answered, a.exists, a.err
		}
		a = next
		g.answers[volume] = a
		g.spawn(func(ctx context.Context) { g.ask(ctx, engine, volume, a) })
	}
	g.wakeAt(a.asked.Add(volumeFresh))
	switch {
	case !a.answered:
		return fmt.Sprintf("asks whether volume %s is still on %s", volume, host), false
	case a.err != nil:
		return fmt.Sprintf("nobody can tell whether volume %s is still on %s: %v", volume, host, a.err), false
	case a.exists:
		delete(d.recreate, volume)
		return "", false
	case d.recreate[volume]:
		delete(d.recreate, volume)
		g.model.unpin(volume)
		return "", false
	}
	return fmt.Sprintf("volume %s is gone from %s, and with an empty one the service would start without its data "+
		"(to accept that: tombolo up --recreate-volumes)", volume, host), true
}

func (g *volumeGuard) ask(ctx context.Context, engine Engine, volume string, a *volumeAnswer) {
	ctx, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	v, err := engine.Volume(ctx, volume)
	g.queue.Put(func() {
		a.answered, a.exists, a.err = true, v.Exists, err
		g.model.dirty.market = true
	})
}

// recreateVolumes permits that volumes of an app are made anew, if they are gone. It does not
// concern volumes that a task uses now, because they are there.
func (m *model) recreateVolumes(d *deployment) {
	used := map[string]bool{}
	for _, t := range m.tasks {
		for _, volume := range t.Volumes {
			used[volume] = used[volume] || t.phase() == deploy.Running
		}
	}
	for _, v := range d.Wanted.Volumes {
		if m.pins[v.Name] != "" && !used[v.Name] {
			d.recreate[v.Name] = true
			m.dirty.market = true
		}
	}
}
