package linker

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListedNamesEachErrorOnceAndCountsTheRest(t *testing.T) {
	if err := listed(nil); err != nil {
		t.Errorf("no errors are listed as %v, want nil", err)
	}
	errs := []error{errors.New("web"), errors.Join(errors.New("db"), errors.New("cache")), errors.New("web")}
	if got, want := listed(errs).Error(), "db, cache; web"; got != want {
		t.Errorf("errors are listed as %q, want %q", got, want)
	}
	for i := range maxListed {
		errs = append(errs, fmt.Errorf("x%d", i))
	}
	if got := listed(errs).Error(); !strings.HasSuffix(got, "; and 2 more") || strings.Count(got, ";") != maxListed {
		t.Errorf("%d errors are listed as %q, want %d of them and how many more there are", maxListed+2, got, maxListed)
	}
}

func TestProblems(t *testing.T) {
	var logged bytes.Buffer
	p := newProblems(slog.New(slog.NewTextHandler(&logged, nil)))
	lines := func() int { return strings.Count(logged.String(), "\n") }
	if !p.ready() || p.list() != nil {
		t.Errorf("a new linker is ready: %v, with the problems %v; want ready without problems", p.ready(), p.list())
	}
	p.report(portsProblem, errors.New("8080 is taken"))
	if !p.ready() {
		t.Error("a conflict of ports made the linker not ready, want only a host-wide problem to do so")
	}
	for range 2 {
		p.report(overlayProblem, errors.New("no memory"))
	}
	if p.ready() || lines() != 2 {
		t.Errorf("ready: %v, with %d lines logged; want not ready, and one line for each of the two problems:\n%s", p.ready(), lines(), &logged)
	}
	p.report(overlayProblem, errors.New("no device"))
	want := []string{
		"overlay: no device (" + overlayProblem.advice + ")",
		"ports: 8080 is taken (publish another port)",
	}
	if diff := cmp.Diff(want, p.list()); diff != "" || lines() != 3 {
		t.Errorf("%d lines were logged, want 3 as the reason changed; problems (-want +got):\n%s", lines(), diff)
	}
	if all := logged.String(); strings.Count(all, "level=ERROR") != 2 || !strings.Contains(all, `level=WARN msg="published ports are in conflict" err="8080 is taken" advice="publish another port"`) {
		t.Errorf("a host-wide problem should be an error and any other a warning, but the log has:\n%s", all)
	}
	p.report(overlayProblem, nil)
	p.report(portsProblem, nil)
	if !p.ready() || p.list() != nil {
		t.Errorf("after both problems ended, ready is %v and %v are listed", p.ready(), p.list())
	}
	p.report(dockerProblem, errors.New("not connected"))
	if p.ready() || lines() != 3 {
		t.Errorf("ready: %v, with %d lines logged; want the problem of Docker, which linker/docker logs itself", p.ready(), lines())
	}
}
