package linker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/inspect"
	"tombolo/linker/problem"
	"tombolo/overlay"
	"tombolo/overlay/firewall"
)

// lookUps finds out whether this host's containers get answers to DNS queries. It asks from inside of
// them, so that everything that the host does to packets of containers happens to its queries too.
type lookUps struct {
	matched  latch // nobody is answered before
	askers   func() []asker
	ask      func(ctx context.Context, a asker) error                                    // nil: there was an answer
	droppers func(ctx context.Context, a asker, send func()) (rules []string, err error) // of the packets that send causes
	problems *problem.Set

	last    string // the ID of the container that was asked last
	failing map[string]silence
}

// asker is a container of this host that could look names up.
type asker struct {
	id      string // of its endpoint
	name    string // for people
	sandbox string // path of its network namespace
}

// silence is why a container gets no answers.
type silence struct {
	asker
	reason string
	traced time.Time
}

const (
	// lookUpsEvery is the pause between two rounds. A round takes up to 4 s where there are no
	// answers, and a trace up to 5 s, so that a fault is named within 20 s.
	lookUpsEvery = 5 * time.Second
	// lookUpsAtOnce bounds the containers of a round. A rule that concerns one container only is
	// found when it is that one's turn.
	lookUpsAtOnce = 20
	// traceAgain is how long the rules that drop a container's queries are believed to be the same.
	traceAgain = time.Minute
)

func (l *lookUps) run(ctx context.Context) error {
	select {
	case <-l.matched.opened:
	case <-ctx.Done():
		return nil
	}
	for {
		l.round(ctx)
		if !wake.Sleep(ctx, lookUpsEvery) {
			return nil
		}
	}
}

// round asks from inside of some containers, and reports what it knows of all.
func (l *lookUps) round(ctx context.Context) {
	chosen := l.choose(l.askers())
	failed := l.askAll(ctx, chosen)
	if ctx.Err() != nil {
		return
	}
	present := l.askers() // a container that has ended meanwhile could not be answered
	for i, a := range chosen {
		if failed[i] == nil {
			delete(l.failing, a.id)
		} else if old, known := l.failing[a.id]; !known || old.sandbox != a.sandbox {
			l.failing[a.id] = silence{asker: a, reason: failed[i].Error()}
		}
	}
	maps.DeleteFunc(l.failing, func(_ string, s silence) bool { return !slices.Contains(present, s.asker) })
	l.traceOne(ctx)
	l.report(len(chosen) > 0 && !slices.ContainsFunc(failed, func(err error) bool { return err == nil }))
}

// choose returns the containers that are silent, and others by turns.
func (l *lookUps) choose(all []asker) (chosen []asker) {
	slices.SortFunc(all, func(a, b asker) int { return strings.Compare(a.id, b.id) })
	start, _ := slices.BinarySearchFunc(all, l.last+"\x00", func(a asker, id string) int { return strings.Compare(a.id, id) })
	for i := range all {
		a := all[(start+i)%len(all)]
		if _, silent := l.failing[a.id]; silent {
			continue
		}
		if len(chosen) == lookUpsAtOnce {
			break
		}
		chosen = append(chosen, a)
		l.last = a.id
	}
	for _, a := range all {
		if _, silent := l.failing[a.id]; silent && len(chosen) < 2*lookUpsAtOnce {
			chosen = append(chosen, a)
		}
	}
	return chosen
}

// askAll asks from inside of each container, twice if there is no answer. It returns why there was
// none; nil for those that got one.
func (l *lookUps) askAll(ctx context.Context, chosen []asker) []error {
	failed := make([]error, len(chosen))
	var asking sync.WaitGroup
	for i, a := range chosen {
		asking.Go(func() {
			if failed[i] = l.ask(ctx, a); failed[i] != nil {
				failed[i] = l.ask(ctx, a)
			}
		})
	}
	asking.Wait()
	return failed
}

// traceOne finds out which rules drop the queries of one silent container: the one that has waited
// longest for that.
func (l *lookUps) traceOne(ctx context.Context) {
	if len(l.failing) == 0 {
		return
	}
	oldest := slices.MinFunc(slices.Collect(maps.Values(l.failing)), func(a, b silence) int {
		return cmp.Or(a.traced.Compare(b.traced), strings.Compare(a.id, b.id))
	})
	if time.Since(oldest.traced) < traceAgain {
		return
	}
	var failed error
	rules, err := l.droppers(ctx, oldest.asker, func() { failed = l.ask(ctx, oldest.asker) })
	if failed == nil {
		return // it was answered this time: the next round decides
	}
	oldest.traced = time.Now()
	switch {
	case len(rules) > 0:
		oldest.reason = "a DNS query was dropped, or the answer, by " + strings.Join(rules, " and by ")
	case err != nil:
		oldest.reason = fmt.Sprintf("%v; which rule drops queries or answers cannot be found out: %v", failed, err)
	default:
		oldest.reason = fmt.Sprintf("%v; no rule of nftables or iptables drops queries or answers", failed)
	}
	l.failing[oldest.id] = oldest
}

// report reports the silent containers: as an outage of the host if all that were asked are silent.
func (l *lookUps) report(all bool) {
	var silent []error
	for _, s := range l.failing {
		silent = append(silent, problem.About(s.name, errors.New(s.reason)))
	}
	everywhere, some := errors.Join(silent...), error(nil)
	if !all {
		everywhere, some = nil, everywhere
	}
	l.problems.Report(problem.NamesUnanswered, everywhere)
	l.problems.Report(problem.ContainerUnanswered, some)
}

// newLookUps makes the part that asks from inside of this host's containers.
func (l *Linker) newLookUps() *lookUps {
	return &lookUps{
		matched: l.matched, problems: l.problems, failing: map[string]silence{}, askers: l.askers,
		ask: func(ctx context.Context, a asker) error {
			r := inspect.Look(ctx, inspect.Request{Sandbox: a.sandbox, Name: l.cfg.Host + ".host." + Zone})
			if r.Answer == nil || r.Answer.Error == "" {
				return nil
			}
			return errors.New(r.Answer.Error)
		},
		droppers: func(ctx context.Context, a asker, send func()) ([]string, error) {
			return firewall.WhoDrops(ctx, firewall.Flow{Interface: overlay.HostSide(a.id), Host: dnsAddr}, send)
		},
	}
}

// askers returns this host's containers that run.
func (l *Linker) askers() (all []asker) {
	e := l.effective.get()
	for _, held := range l.table.Snapshot() {
		if ep := e.local(held.ID); ep != nil && ep.Running && held.Joined && held.Sandbox != "" {
			all = append(all, asker{id: held.ID, name: ep.ContainerName, sandbox: held.Sandbox})
		}
	}
	return all
}
