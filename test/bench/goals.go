package main

import (
	"fmt"
	"io"
)

// goal is a figure that should be at most bound, or with atLeast, at least bound.
type goal struct {
	figure  string
	unit    string
	got     float64
	bound   float64
	atLeast bool
}

func (g goal) missed() bool {
	if g.atLeast {
		return g.got < g.bound
	}
	return g.got > g.bound
}

func printGoals(out io.Writer, goals []goal) {
	if len(goals) == 0 {
		return
	}
	table(out, "Goals", func(w io.Writer) {
		fmt.Fprintln(w, "FIGURE\tGOAL\tGOT\tMET")
		for _, g := range goals {
			relation, met := "<=", "yes"
			if g.atLeast {
				relation = ">="
			}
			if g.missed() {
				met = "NO"
			}
			fmt.Fprintf(w, "%s\t%s %.4g%s\t%.4g%s\t%s\n", g.figure, relation, g.bound, g.unit, g.got, g.unit, met)
		}
	})
}
