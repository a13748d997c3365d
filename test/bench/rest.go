package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tombolo/internal/wake"
	"tombolo/test/bench/load"
)

const (
	restContainers = 3 // on each host, so that the linkers have something to look after
	restSettle     = 5 * time.Second
	restSlices     = 6
	restSlice      = 5 * time.Second
)

// resting has the samples of a host's linker and its supervisor while nothing happens.
type resting struct {
	host string
	cpu  []float64 // percent of a core
	rss  []float64 // MB; pages that both processes share count twice
}

// benchRest measures the linkers of all hosts while no container starts or ends.
func benchRest(ctx context.Context, b *bed, out io.Writer) ([]goal, error) {
	for _, e := range b.engines {
		for i := range restContainers {
			name := fmt.Sprintf("rest-%d", i)
			if err := e.run(ctx, netTombolo, name, "stamp"); err != nil {
				return nil, err
			}
			defer func() { _ = e.remove(context.WithoutCancel(ctx), name) }() // if this fails, the lab's removal removes it
		}
	}
	if !wake.Sleep(ctx, restSettle) {
		return nil, ctx.Err()
	}
	linkers := make([]*resting, len(b.engines))
	for i, e := range b.engines {
		linkers[i] = &resting{host: e.host.Name}
	}
	for range restSlices {
		if err := sampleRest(ctx, linkers); err != nil {
			return nil, err
		}
	}
	printRest(out, linkers)
	cpu, rss := goal{figure: "linker at rest, CPU", unit: " % of a core", bound: 1}, goal{figure: "linker at rest, RSS", unit: " MB", bound: 60}
	for _, l := range linkers { // the host with the highest figure
		cpu.got = max(cpu.got, load.SpreadOf(l.cpu).Median)
		rss.got = max(rss.got, load.SpreadOf(l.rss).Max)
	}
	return []goal{cpu, rss}, nil
}

// sampleRest takes a sample of each linker over the same slice of time.
func sampleRest(ctx context.Context, linkers []*resting) error {
	began, before := time.Now(), make([]time.Duration, len(linkers))
	for i, l := range linkers {
		var err error
		if before[i], _, err = usage(l.host); err != nil {
			return err
		}
	}
	if !wake.Sleep(ctx, restSlice) {
		return ctx.Err()
	}
	for i, l := range linkers {
		after, rss, err := usage(l.host)
		if err != nil {
			return err
		}
		l.cpu = append(l.cpu, 100*float64(after-before[i])/float64(time.Since(began)))
		l.rss = append(l.rss, rss)
	}
	return nil
}

// usage returns the CPU time and the memory of the processes of a host's linker.
func usage(host string) (cpu time.Duration, rss float64, err error) {
	pids, err := linkerPIDs(host)
	if err != nil {
		return 0, 0, err
	}
	for _, pid := range pids {
		used, err := load.CPUTime(pid)
		if err != nil {
			return 0, 0, err
		}
		held, err := load.RSS(pid)
		if err != nil {
			return 0, 0, err
		}
		cpu, rss = cpu+used, rss+float64(held)/1e6
	}
	return cpu, rss, nil
}

// linkerPIDs returns the processes of a host's linker: the supervisor, then its child, which does the
// work.
func linkerPIDs(host string) ([]int, error) {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range commands {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the process has ended
		}
		argv := strings.Split(string(text), "\x00")
		if len(argv) < 4 || argv[1] != "linker" || argv[2] != "--host" || argv[3] != host {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	if len(pids) != 2 {
		return nil, fmt.Errorf("the linker of %s has the processes %v, not two", host, pids)
	}
	return pids, nil
}
