package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file, counted from one. The zero Position is nowhere:
// an App that came over the API has none.
type Position struct {
	File   string
	Line   int
	Column int
}

// String is "compose.yaml:12:5", shorter where less is known.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that is wrong with an app, and where.
type Problem struct {
	Position Position
	Path     string // "services.web.ports[0]"
	Text     string
}

// Error is "compose.yaml:12:5: services.web.ports[0]: text".
func (p Problem) Error() string {
	parts := []string{p.Position.String(), p.Path, p.Text}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// Warning is a Problem that stops nothing.
type Warning = Problem

// Problems is the error of Load and Validate: everything that is wrong, in the
// order of the file.
type Problems []Problem

// Error is one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Path leads to a key of a Compose file, one element a key. An item of a list is
// "[0]".
type Path []string

// Item is the path of list item i below p.
func (p Path) Item(i int) Path { return p.To(fmt.Sprintf("[%d]", i)) }

// To is the path that keys lead to from p.
func (p Path) To(keys ...string) Path { return append(slices.Clip(p), keys...) }

// String is "services.web.ports[0]".
func (p Path) String() string {
	return strings.ReplaceAll(strings.Join(p, "."), ".[", "[")
}

// Report collects problems and warnings, each once.
type Report struct {
	Locate   func(Path) Position // finds the key in its file; nil: there is no file
	Inactive map[string]bool     // services that the file has, but in no active profile
	Problems Problems
	Warnings []Warning
}

// Problem adds a problem with the key at p.
func (r *Report) Problem(p Path, format string, args ...any) {
	r.Add(r.locate(p, fmt.Sprintf(format, args...)))
}

// Warn adds a warning of the key at p.
func (r *Report) Warn(p Path, format string, args ...any) {
	r.AddWarning(r.locate(p, fmt.Sprintf(format, args...)))
}

// Add adds a problem whose position is known.
func (r *Report) Add(p Problem) { r.Problems = add(r.Problems, p) }

// AddWarning adds a warning whose position is known.
func (r *Report) AddWarning(w Warning) { r.Warnings = add(r.Warnings, w) }

// Err is the problems in the order of the file, or nil if there is none.
func (r *Report) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.Problems, CompareProblems)
	return r.Problems
}

func (r *Report) locate(p Path, text string) Problem {
	located := Problem{Path: p.String(), Text: text}
	if r.Locate != nil {
		located.Position = r.Locate(p)
	}
	return located
}

// CompareProblems orders problems as their keys stand in the files.
func CompareProblems(a, b Problem) int {
	return cmp.Or(
		cmp.Compare(a.Position.File, b.Position.File),
		cmp.Compare(a.Position.Line, b.Position.Line),
		cmp.Compare(a.Position.Column, b.Position.Column),
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Text, b.Text),
	)
}

func add(list []Problem, p Problem) []Problem {
	if slices.Contains(list, p) {
		return list
	}
	return append(list, p)
}
