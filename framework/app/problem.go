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

// keyPath is a key path, one element a key; list items are "[0]".
type keyPath []string

func at(parts ...string) keyPath { return parts }

// item is the path of list item i below p.
func (p keyPath) item(i int) keyPath { return p.to(fmt.Sprintf("[%d]", i)) }

// to is the path of what keys lead to below p.
func (p keyPath) to(keys ...string) keyPath { return append(slices.Clip(p), keys...) }

func (p keyPath) String() string {
	return strings.ReplaceAll(strings.Join(p, "."), ".[", "[")
}

// report collects what is found wrong, each once, with its position.
type report struct {
	locate   func(keyPath) Position
	items    func(keyPath) int // how many items the file's list at a path has
	disabled map[string]bool   // services that are in the file, but in no active profile
	problems Problems
	warnings []Warning
}

func (r *report) problem(p keyPath, format string, args ...any) {
	r.problems = add(r.problems, r.make(p, fmt.Sprintf(format, args...)))
}

func (r *report) warn(p keyPath, format string, args ...any) {
	r.warnings = add(r.warnings, r.make(p, fmt.Sprintf(format, args...)))
}

func (r *report) make(p keyPath, text string) Problem {
	made := Problem{Path: p.String(), Text: text}
	if r.locate != nil {
		made.Position = r.locate(p)
	}
	return made
}

// item is the path of item i of n below p. It is p itself where the file's list
// is not the list of n: ranges of ports become several items, and several files'
// lists one.
func (r *report) item(p keyPath, i, n int) keyPath {
	if r.items != nil && r.items(p) != n {
		return p
	}
	return p.item(i)
}

// err is nil where nothing is wrong.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, compareProblems)
	return r.problems
}

func compareProblems(a, b Problem) int {
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
