package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// benchFramework runs the benchmarks of package framework: what an event, and the launch of many
// instances, costs its goroutine. They bring a master that costs nothing.
func benchFramework(ctx context.Context, _ *bed, out io.Writer) ([]goal, error) {
	cmd := exec.CommandContext(ctx, cmp.Or(os.Getenv("GO"), "go"), "test", "-run", "^$", "-benchtime", "0.3s", "-timeout", "20m",
		"-bench", "^Benchmark(Event|Launch)$/^(1000|10000|50000)_instances_in_(10_apps|1000_apps|10000_apps|apps_of_10)$", "./framework")
	printed, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w:\n%s", err, printed)
	}
	var events, launches []frameworkRow
	for r := benchfmt.NewReader(bytes.NewReader(printed), "go test"); r.Scan(); {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		kind, row := readRow(result)
		if kind == "Event" {
			events = append(events, row)
		} else {
			launches = append(launches, row)
		}
	}
	if len(events) == 0 || len(launches) == 0 {
		return nil, fmt.Errorf("%w:\n%s", errors.New("the benchmarks printed no results"), printed)
	}
	table(out, "Framework: one update of a task that changes what is shown of it; all instances run, ten on a host", func(w io.Writer) {
		fmt.Fprintln(w, "SIZE\tCOST OF THE EVENT")
		for _, r := range events {
			fmt.Fprintf(w, "%s\t%.3g ms\n", r.size, r.seconds*1e3)
		}
	})
	table(out, "Framework: launch of all instances, until they run; each update of a task is an event; memory held at the end, the store included", func(w io.Writer) {
		fmt.Fprintln(w, "SIZE\tCOST\tINSTANCES/S\tMEMORY")
		for _, r := range launches {
			fmt.Fprintf(w, "%s\t%.3g s\t%.0f\t%.3g MB\n", r.size, r.seconds, float64(r.instances)/r.seconds, r.megabytes)
		}
	})
	return frameworkGoals(events, launches), nil
}

func frameworkGoals(events, launches []frameworkRow) (goals []goal) {
	for _, r := range events {
		goals = append(goals, goal{figure: "event, " + r.size, unit: "ms", got: r.seconds * 1e3, bound: 1})
	}
	for _, r := range launches {
		switch r.instances {
		case 10_000:
			goals = append(goals, goal{figure: "launch, " + r.size, unit: "s", got: r.seconds, bound: 3})
		case 50_000:
			goals = append(goals, goal{figure: "memory, " + r.size, unit: "MB", got: r.megabytes, bound: 300})
		}
	}
	return goals
}

// frameworkRow is the result of one benchmark.
type frameworkRow struct {
	size      string // such as "10000 instances in 10 apps"
	instances int
	seconds   float64
	megabytes float64 // of launches alone
}

// readRow reads the result of a benchmark with a name such as
// "Event/10000_instances_in_10_apps-2".
func readRow(result *benchfmt.Result) (kind string, row frameworkRow) {
	kind, row.size, _ = strings.Cut(string(result.Name.Full()), "/")
	row.size, _, _ = strings.Cut(row.size, "-") // the number of processors
	row.size = strings.ReplaceAll(row.size, "_", " ")
	_, _ = fmt.Sscan(row.size, &row.instances)
	row.seconds, _ = result.Value("sec/op")
	held, _ := result.Value("held-bytes")
	row.megabytes = held / 1e6
	return kind, row
}
