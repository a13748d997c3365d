package linker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/linker/problem"
)

// fakeAskers are containers of which some get no answers.
type fakeAskers struct {
	mu     sync.Mutex
	all    []asker
	silent map[string]bool // by ID
	asked  map[string]int
	traces int
}

func (f *fakeAskers) list() []asker {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// ask takes two seconds if there is no answer.
func (f *fakeAskers) ask(_ context.Context, a asker) error {
	f.mu.Lock()
	f.asked[a.id]++
	silent := f.silent[a.id]
	f.mu.Unlock()
	if !silent {
		return nil
	}
	time.Sleep(2 * time.Second)
	return errors.New("i/o timeout")
}

func (f *fakeAskers) droppers(_ context.Context, _ asker, send func()) ([]string, error) {
	send()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.traces++
	return []string{"the rule “drop”"}, nil
}

// change runs f while no query is being answered.
func (f *fakeAskers) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func runLookUps(t *testing.T, containers int) (*fakeAskers, *problem.Set) {
	f := &fakeAskers{silent: map[string]bool{}, asked: map[string]int{}}
	for i := range containers {
		f.all = append(f.all, asker{id: fmt.Sprintf("id%03d", i), name: fmt.Sprintf("web-%d", i), sandbox: "/run/ns"})
	}
	l := &lookUps{
		matched: newLatch(), askers: f.list, ask: f.ask, droppers: f.droppers,
		problems: problem.NewSet(slog.New(slog.DiscardHandler)), failing: map[string]silence{},
	}
	l.matched.open()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f, l.problems
}

func problemNames(s *problem.Set) (names []string) {
	for _, p := range s.List() {
		names = append(names, p.Name+" "+p.Subject)
	}
	return names
}

func TestAHostWhoseContainersGetNoAnswersIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, problems := runLookUps(t, 2)
		time.Sleep(20 * time.Second)
		if got := problems.List(); len(got) > 0 {
			t.Errorf("containers that get answers have the problems %v", got)
		}
		f.change(func() { f.silent["id000"], f.silent["id001"] = true, true })
		time.Sleep(20 * time.Second)
		got := problems.List()
		if want := []string{"names-unanswered web-0", "names-unanswered web-1"}; !slices.Equal(problemNames(problems), want) || problems.Ready() {
			t.Errorf("20 s later the problems are %v (ready: %v), want %v", got, problems.Ready(), want)
		}
		if len(got) > 0 && !strings.Contains(got[0].Reason, "by the rule “drop”") {
			t.Errorf("the reason is %q, want it to name the rule", got[0].Reason)
		}
		f.change(func() { clear(f.silent) })
		time.Sleep(15 * time.Second)
		if got := problems.List(); len(got) > 0 {
			t.Errorf("containers that get answers again have the problems %v", got)
		}
	})
}

// A container may have rules of its own, such as one that is a VPN. The host is ready.
func TestOneSilentContainerIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, problems := runLookUps(t, 100)
		f.change(func() { f.silent["id077"] = true })
		time.Sleep(time.Minute)
		if got := problemNames(problems); !slices.Equal(got, []string{"container-unanswered web-77"}) || !problems.Ready() {
			t.Errorf("the problems are %v (ready: %v), want one of web-77, and a host that is ready", got, problems.Ready())
		}
		f.change(func() {
			for _, a := range f.all {
				if f.asked[a.id] == 0 {
					t.Errorf("nothing was asked from inside of %s within a minute", a.name)
				}
			}
			f.all = slices.DeleteFunc(f.all, func(a asker) bool { return a.id == "id077" })
		})
		time.Sleep(15 * time.Second)
		if got := problems.List(); len(got) > 0 {
			t.Errorf("after the silent container has ended, the problems are %v", got)
		}
	})
}

func TestAContainerThatEndsWhileItIsAskedIsNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, problems := runLookUps(t, 1)
		time.Sleep(lookUpsEvery / 2)
		f.change(func() { f.silent["id000"] = true })
		time.Sleep(lookUpsEvery) // it is being asked now
		f.change(func() { f.all = nil })
		time.Sleep(20 * time.Second)
		if got := problems.List(); len(got) > 0 || f.traces > 0 {
			t.Errorf("the problems are %v after %d traces, want none", got, f.traces)
		}
	})
}

// To find the rule costs more than to find that there is one.
func TestRulesAreSoughtOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := runLookUps(t, 1)
		f.change(func() { f.silent["id000"] = true })
		time.Sleep(5 * time.Minute)
		f.change(func() {
			if f.traces < 4 || f.traces > 6 {
				t.Errorf("the rule was sought %d times in 5 minutes, want about once a minute", f.traces)
			}
		})
	})
}
