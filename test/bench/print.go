package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"tombolo/test/bench/load"
)

// figure writes a median and its quartiles.
func figure(samples []float64, unit string) string {
	s := load.SpreadOf(samples)
	return fmt.Sprintf("%.4g %s [%.4g..%.4g]", s.Median, unit, s.Low, s.High)
}

// against writes the ratio to a base, paired by round so that drift cancels.
func against(samples, base []float64) string {
	ratios := make([]float64, min(len(samples), len(base)))
	for i := range ratios {
		ratios[i] = samples[i] / base[i]
	}
	s := load.SpreadOf(ratios)
	return fmt.Sprintf("%.3f [%.3f..%.3f]", s.Median, s.Low, s.High)
}

func table(out io.Writer, title string, rows func(w io.Writer)) {
	fmt.Fprintf(out, "\n%s\n", title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows(w)
	_ = w.Flush() // to a terminal or a file: nothing to be done about it
}

func printDNS(out io.Writer, servers []*dnsServer) {
	title := fmt.Sprintf("DNS: server CPU per answer (%d rounds of %s, %d sockets x %d outstanding, %d addresses an answer; median [quartiles])",
		dnsRounds, dnsSlice, dnsSockets, dnsWindow, dnsReplies)
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

func printAttach(out io.Writer, took map[string][]float64) {
	title := fmt.Sprintf("Attach: docker run less the same with --network none (%d interleaved pairs; median [quartiles])", attachPairs)
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "NETWORK\tCOST\tWHOLE RUN")
		for _, network := range attachNetworks {
			cost := make([]float64, len(took[network]))
			for i, ms := range took[network] {
				cost[i] = ms - took["none"][i]
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", network, figure(cost, "ms"), figure(took[network], "ms"))
		}
	})
}

func printResolve(out io.Writer, networks []string, took map[string]*resolved) {
	title := fmt.Sprintf("Name resolves on all %d other hosts (%d containers each, interleaved)", bedHosts-1, resolveRounds)
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
	p99 := load.Quantile(slices.Sorted(slices.Values(samples)), 0.99)
	fmt.Fprintf(w, "%s\t%s\t%.4g ms\t%.4g ms\t%.4g..%.4g ms\n", network, since, s.Median, p99, s.Min, s.Max)
}
