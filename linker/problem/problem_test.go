package problem

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	broken = Kind{Name: "broken", Severity: Outage, Meaning: "nothing works", Remedy: "mend it"}
	slow   = Kind{Name: "slow", Severity: Degraded, Subject: "peer", Meaning: "peers are slow", Remedy: "wait"}
)

func TestReport(t *testing.T) {
	own := Found{Subject: "h3", Reason: "late", Remedy: "push"}
	cases := []struct {
		name string
		err  error
		want []Found // of the kind slow
	}{
		{"nothing", nil, nil},
		{"the host as a whole", errors.New("late"), []Found{{"", "late", "wait"}}},
		{"a subject", About("h2", errors.New("late")), []Found{{"h2", "late", "wait"}}},
		{"a subject inside of another error", fmt.Errorf("ask: %w", About("h2", errors.New("late"))), []Found{{"h2", "ask: late", "wait"}}},
		{"a remedy of its own", own, []Found{own}},
		{"a subject around a remedy", About("h9", own), []Found{{"h9", "late", "push"}}},
		{"several subjects are sorted", errors.Join(own, About("h2", errors.New("b")), errors.Join(About("h2", errors.New("a")), errors.New("all"))),
			[]Found{{"", "all", "wait"}, {"h2", "a; b", "wait"}, own}},
		{"a repeated reason is named once", errors.Join(errors.New("a"), errors.New("a"), nil), []Found{{"", "a", "wait"}}},
		{"an error with two causes is one", fmt.Errorf("%w, and %w", errors.New("a"), errors.New("b")), []Found{{"", "a, and b", "wait"}}},
		{"lines become one", fmt.Errorf("all: %w", errors.Join(errors.New("a"), errors.New("b"))), []Found{{"", "all: a, b", "wait"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := NewSet(slog.New(slog.DiscardHandler))
			s.Report(slow, c.err)
			var want []Problem
			for _, f := range c.want {
				want = append(want, New(slow, f))
			}
			if diff := cmp.Diff(want, s.List(), cmpopts.IgnoreFields(Problem{}, "Since")); diff != "" {
				t.Errorf("Report(%v) makes other problems (-want +got):\n%s", c.err, diff)
			}
		})
	}
}

func TestManySubjectsAreCounted(t *testing.T) {
	s := NewSet(slog.New(slog.DiscardHandler))
	var errs []error
	for i := range maxSubjects + 3 {
		errs = append(errs, About(fmt.Sprintf("h%02d", i), errors.New("late")))
	}
	s.Report(slow, errors.Join(errs...))
	if all := s.List(); len(all) != maxSubjects+1 || all[0].Reason != "and 3 more" || all[10].Subject != "h09" {
		t.Errorf("13 subjects are listed as %v, want the first 10, and how many more there are", all)
	}
	s.Report(slow, errors.Join(append(errs, errors.New("all"))...))
	if all := s.List(); len(all) != maxSubjects || all[0].Reason != "all; and 4 more" {
		t.Errorf("13 subjects and the whole host are listed as %v, want the first 10, the host's with how many more there are", all)
	}
	errs = nil
	for i := range maxSubjects + 3 {
		errs = append(errs, fmt.Errorf("reason %02d", i))
	}
	s.Report(slow, errors.Join(errs...))
	if all := s.List(); len(all) != 1 || !strings.HasSuffix(all[0].Reason, "reason 09; and 3 more") {
		t.Errorf("13 reasons are listed as %v, want one problem with the first 10, and how many more there are", all)
	}
}

func TestOnlyAnOutageIsNotReady(t *testing.T) {
	s := NewSet(slog.New(slog.DiscardHandler))
	s.Report(slow, errors.New("late"))
	if !s.Ready() {
		t.Error("a degraded host is not ready, want only an outage to make it so")
	}
	s.Report(broken, errors.New("no kernel"))
	if s.Ready() {
		t.Error("a host with an outage is ready")
	}
	if all := s.List(); len(all) != 2 || all[0].Name != "broken" {
		t.Errorf("the problems are %v, want the outage first", all)
	}
	s.Report(broken, nil)
	if !s.Ready() {
		t.Error("the host is not ready after the outage has ended")
	}
}

func TestSinceStaysWhileTheProblemLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(slog.New(slog.DiscardHandler))
		s.Report(slow, About("h2", errors.New("late")))
		began := s.List()[0].Since
		time.Sleep(time.Minute)
		s.Report(slow, errors.Join(About("h2", errors.New("later")), About("h3", errors.New("late"))))
		all := s.List()
		if all[0].Since != began || all[1].Since != began.Add(time.Minute) {
			t.Errorf("h2 is late since %v and h3 since %v, want %v and a minute later", all[0].Since, all[1].Since, began)
		}
	})
}

func TestChangesAreLogged(t *testing.T) {
	var logged bytes.Buffer
	s := NewSet(slog.New(slog.NewTextHandler(&logged, nil)))
	expect := func(step string, lines ...string) {
		t.Helper()
		got := strings.Split(strings.TrimSpace(logged.String()), "\n")
		logged.Reset()
		if len(lines) == 0 && got[0] == "" {
			return
		}
		if len(got) != len(lines) {
			t.Errorf("%s: %d lines are logged, want %d:\n%s", step, len(got), len(lines), strings.Join(got, "\n"))
			return
		}
		for i, want := range lines {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: line %d is %q, want %q in it", step, i+1, got[i], want)
			}
		}
	}
	s.Report(slow, About("h2", errors.New("late")))
	expect("a problem begins", `level=WARN msg="peers are slow" problem=slow subject=h2 reason=late remedy=wait`)
	s.Report(slow, About("h2", errors.New("late")))
	expect("a problem lasts")
	s.Report(slow, About("h2", errors.New("later")))
	expect("its reason changes", "reason=later")
	s.Report(slow, nil)
	expect("it ends", `level=INFO msg="a problem has ended" problem=slow subject=h2`)
	s.Report(broken, errors.New("no kernel"))
	expect("an outage begins", `level=ERROR msg="nothing works" problem=broken`)
}

func TestEveryKindExplainsItself(t *testing.T) {
	seen := map[string]bool{}
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, k := range Kinds() {
		switch {
		case seen[k.Name]:
			t.Errorf("two kinds have the name %s", k.Name)
		case !name.MatchString(k.Name):
			t.Errorf("the name %q is not made of lower-case words with hyphens", k.Name)
		case k.Severity.rank() < 0:
			t.Errorf("%s has the unknown severity %q", k.Name, k.Severity)
		case k.Meaning == "" || k.Remedy == "" || strings.HasSuffix(k.Meaning, ".") || strings.HasSuffix(k.Remedy, "."):
			t.Errorf("%s has the meaning %q and the remedy %q, want both, without a full stop", k.Name, k.Meaning, k.Remedy)
		}
		seen[k.Name] = true
	}
}
