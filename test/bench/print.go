package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"tombolo/test/bench/load"
)

// figure formats a median and its quartiles.
func figure(samples []float64, unit string) string {
	s := load.SpreadOf(samples)
	return fmt.Sprintf("%.4g %s [%.4g..%.4g]", s.Median, unit, s.Low, s.High)
}

// ratio divides the samples by those of a base, round by round, so that drift cancels out.
func ratio(samples, base []float64) load.Spread {
	ratios := make([]float64, min(len(samples), len(base)))
	for i := range ratios {
		ratios[i] = samples[i] / base[i]
	}
	return load.SpreadOf(ratios)
}

func against(samples, base []float64) string {
	s := ratio(samples, base)
	return fmt.Sprintf("%.3f [%.3f..%.3f]", s.Median, s.Low, s.High)
}

func table(out io.Writer, title string, rows func(w io.Writer)) {
	fmt.Fprintf(out, "\n%s\n", title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows(w)
	_ = w.Flush() // it writes to a terminal or a file; there is nowhere to report an error
}

func printRest(out io.Writer, linkers []*resting) {
	title := fmt.Sprintf("Linker at rest, its supervisor included, %d containers on its host (%d slices of %s; median [quartiles])",
		restContainers, restSlices, restSlice)
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "HOST\tRSS\tCPU, % OF A CORE")
		for _, l := range linkers {
			fmt.Fprintf(w, "%s\t%s\t%s\n", l.host, figure(l.rss, "MB"), figure(l.cpu, ""))
		}
	})
}

func printDNS(out io.Writer, coredns string, servers []*dnsServer) {
	title := fmt.Sprintf("DNS from a container: server CPU per answer (%s; %d rounds of %s, %d sockets x %d outstanding, %d addresses an answer; median [quartiles])",
		coredns, dnsRounds, dnsSlice, dnsSockets, dnsWindow, bedHosts)
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "SERVER\tCPU/ANSWER\tx ECHO\tx COREDNS\tANSWERS/S\tP50\tP99\tLOST")
		echo, coredns := servers[0], servers[len(servers)-1]
		for _, s := range servers {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", s.name, figure(s.cpu, "us"), against(s.cpu, echo.cpu),
				against(s.cpu, coredns.cpu), figure(s.rate, ""), figure(s.p50, "us"), figure(s.p99, "us"), s.lost)
		}
	})
}

func printThroughput(out io.Writer, paths []*path) {
	title := fmt.Sprintf("TCP between two hosts (%d rounds of %s each; median [quartiles]; ratios paired by round)", throughputRounds, throughputSlice)
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "PATH\tSTREAM\tx HAND-MADE\tx UNDERLAY\tROUND TRIPS/S\tx HAND-MADE\tP50\tP99")
		under, made := paths[0], paths[1]
		for _, p := range paths {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.name, figure(p.rate, "Gbit/s"), against(p.rate, made.rate),
				against(p.rate, under.rate), figure(p.trips, ""), against(p.trips, made.trips), figure(p.p50, "us"), figure(p.p99, "us"))
		}
	})
}

func printAttach(out io.Writer, ways []*attachment) {
	title := fmt.Sprintf("Attach: docker run minus the same with --network none (%d interleaved pairs; median [quartiles]; ratio of medians [95 %% of bootstraps])", attachPairs)
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "NETWORK\tCOST\tx BRIDGE\tWHOLE RUN")
		none := ways[attachNone]
		for i, a := range ways {
			if i == attachNone {
				fmt.Fprintf(w, "%s\t\t\t%s\n", a.name, figure(a.whole, "ms"))
				continue
			}
			got, low, high := load.RatioOfMedians(a.cost(none), ways[attachBridge].cost(none))
			fmt.Fprintf(w, "%s\t%s\t%.2f [%.2f..%.2f]\t%s\n", a.name, figure(a.cost(none), "ms"), got, low, high, figure(a.whole, "ms"))
		}
	})
	fmt.Fprintf(out, "The goal is about the row %q.\n", ways[attachTombolo].name)
}

func printResolve(out io.Writer, networks []string, took map[string]*resolved) {
	title := fmt.Sprintf("Name resolves on all %d other hosts (%d containers each, interleaved; median [quartiles])",
		bedHosts-1, len(took[networks[0]].fromStart))
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "NETWORK\tSINCE\tP50\tP99\tMIN..MAX")
		for _, network := range networks {
			printTail(w, network, "its first instruction", took[network].fromStart)
			printTail(w, network, "docker run", took[network].fromRun)
		}
	})
}

func printTail(w io.Writer, network, since string, samples []float64) {
	s := load.SpreadOf(samples)
	fmt.Fprintf(w, "%s\t%s\t%s\t%.4g ms\t%.4g..%.4g ms\n", network, since, figure(samples, "ms"), p99(samples), s.Min, s.Max)
}

func p99(samples []float64) float64 {
	return load.Quantile(slices.Sorted(slices.Values(samples)), 0.99)
}
