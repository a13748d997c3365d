package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file; lines and columns count from 1. The zero Position
// means "no file": an App that came over the API has none.
type Position struct {
	File   string
	Line   int // 0: unknown
	Column int // 0: unknown
}

// String is "compose.yaml:12:5", without the numbers that are unknown.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that is wrong with an app.
type Problem struct {
	Position Position
	Path     string // the key, such as "services.web.ports[0]"; "": the whole file
	Text     string
}

// Error is "compose.yaml:12:5: services.web.ports[0]: text".
func (p Problem) Error() string {
	parts := []string{p.Position.String(), p.Path, p.Text}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// Warning is a Problem that does not keep the app from running.
type Warning = Problem

// Problems is the error of Validate, and of a file that cannot be loaded: all
// problems at once.
type Problems []Problem

// Error has one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort orders problems by their positions.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Position.File, b.Position.File),
			cmp.Compare(a.Position.Line, b.Position.Line),
			cmp.Compare(a.Position.Column, b.Position.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Text, b.Text),
		)
	})
}

// Path leads to a key of a Compose file: one element for each key, and "[0]" for the
// first item of a list.
type Path []string

// To returns the path of a key below p.
func (p Path) To(keys ...string) Path { return append(slices.Clip(p), keys...) }

// Item returns the path of item i of the list at p.
func (p Path) Item(i int) Path { return p.To(fmt.Sprintf("[%d]", i)) }

// String is "services.web.ports[0]".
func (p Path) String() string {
	return strings.ReplaceAll(strings.Join(p, "."), ".[", "[")
}

// Report collects problems and warnings, each of them once.
type Report struct {
	Locate   func(Path) Position // finds a key in the files; nil: there are no files
	Inactive map[string]bool     // services of the files whose profiles are not active
	Problems Problems
	Warnings Problems
}

// Problem reports that the key at p is wrong.
func (r *Report) Problem(p Path, format string, args ...any) {
	r.Problems = add(r.Problems, r.locate(p, fmt.Sprintf(format, args...)))
}

// Warn reports a warning about the key at p.
func (r *Report) Warn(p Path, format string, args ...any) {
	r.Warnings = add(r.Warnings, r.locate(p, fmt.Sprintf(format, args...)))
}

// Add reports a problem whose position is known.
func (r *Report) Add(p Problem) { r.Problems = add(r.Problems, p) }

// AddWarning reports a warning whose position is known.
func (r *Report) AddWarning(w Warning) { r.Warnings = add(r.Warnings, w) }

// Err returns the sorted Problems, or nil if there are none.
func (r *Report) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	r.Problems.Sort()
	return r.Problems
}

func (r *Report) locate(p Path, text string) Problem {
	problem := Problem{Path: p.String(), Text: text}
	if r.Locate != nil {
		problem.Position = r.Locate(p)
	}
	return problem
}

func add(list Problems, p Problem) Problems {
	if slices.Contains(list, p) {
		return list
	}
	return append(list, p)
}
