package main

import (
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"
)

func TestResultsOfBenchmarksAreRead(t *testing.T) {
	const printed = "goos: linux\npkg: tombolo/framework\n" +
		"BenchmarkEvent/10000_instances_in_10_apps-2         \t     453\t   2000000 ns/op\n" +
		"BenchmarkLaunch/50000_instances_in_apps_of_10-2         \t       1\t7000000000 ns/op\t       128000000 held-bytes\nPASS\n"
	want := []frameworkRow{
		{size: "10000 instances in 10 apps", instances: 10_000, seconds: 0.002},
		{size: "50000 instances in apps of 10", instances: 50_000, seconds: 7, megabytes: 128},
	}
	var got []frameworkRow
	for r := benchfmt.NewReader(strings.NewReader(printed), "go test"); r.Scan(); {
		if result, ok := r.Result().(*benchfmt.Result); ok {
			_, row := readRow(result)
			got = append(got, row)
		}
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("the results are %+v, want %+v", got, want)
	}
	var figures []string
	for _, g := range frameworkGoals(got[:1], got[1:]) {
		figures = append(figures, g.figure)
	}
	if text := strings.Join(figures, "; "); text != "event, 10000 instances in 10 apps; memory, 50000 instances in apps of 10" {
		t.Errorf("the goals are %q", text)
	}
}
