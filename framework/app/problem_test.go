package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProblemsShowPositionKeyAndText(t *testing.T) {
	for _, c := range []struct {
		problem Problem
		want    string
	}{
		{Problem{Text: "wrong"}, "wrong"},
		{Problem{Position: Position{File: "a.yaml"}, Text: "wrong"}, "a.yaml: wrong"},
		{Problem{Position: Position{File: "a.yaml", Line: 3}, Text: "wrong"}, "a.yaml:3: wrong"},
		{
			Problem{Position: Position{File: "a.yaml", Line: 3, Column: 5}, Path: Path{"services", "web", "ports"}.Item(0).To("mode").String(), Text: "wrong"},
			"a.yaml:3:5: services.web.ports[0].mode: wrong",
		},
	} {
		if got := c.problem.Error(); got != c.want {
			t.Errorf("Error returns %q, want %q", got, c.want)
		}
	}
}

func TestPathsDoNotShareMemory(t *testing.T) {
	p := Path{"services", "web"}.To("a")
	x, y := p.To("x"), p.To("y")
	if x.String() != "services.web.a.x" || y.String() != "services.web.a.y" {
		t.Errorf("two paths below one are %s and %s", x, y)
	}
}

func TestReportSortsProblemsAndDropsDuplicates(t *testing.T) {
	lines := map[string]int{"a": 7, "b": 2}
	r := &Report{Locate: func(p Path) Position { return Position{File: "f", Line: lines[p[0]]} }}
	r.Problem(Path{"a"}, "%d is wrong", 1)
	r.Problem(Path{"b"}, "is wrong")
	r.Problem(Path{"a"}, "%d is wrong", 1)
	r.Warn(Path{"a"}, "is odd")
	r.Add(Problem{Text: "no file"})
	if diff := cmp.Diff("no file\nf:2: b: is wrong\nf:7: a: 1 is wrong", r.Err().Error()); diff != "" {
		t.Errorf("Err (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("f:7: a: is odd", r.Warnings.Error()); diff != "" {
		t.Errorf("Warnings (-want +got):\n%s", diff)
	}
	if err := (&Report{}).Err(); err != nil {
		t.Errorf("a report without problems returns the error %v", err)
	}
}

func TestDependencyPathIsAShortestOne(t *testing.T) {
	a := &App{Services: map[string]Service{}}
	for name, others := range map[string][]string{"web": {"api", "cache"}, "api": {"db"}, "cache": {"api"}, "db": nil} {
		s := Service{Name: name, DependsOn: map[string]Dependency{}}
		for _, other := range others {
			s.DependsOn[other] = Dependency{Condition: Started}
		}
		a.Services[name] = s
	}
	for _, c := range []struct {
		from, to string
		want     []string
	}{
		{"web", "db", []string{"web", "api", "db"}},
		{"cache", "db", []string{"cache", "api", "db"}},
		{"db", "db", []string{"db"}},
		{"db", "web", nil},
	} {
		if diff := cmp.Diff(c.want, a.DependencyPath(c.from, c.to)); diff != "" {
			t.Errorf("the way from %s to %s (-want +got):\n%s", c.from, c.to, diff)
		}
	}
}
