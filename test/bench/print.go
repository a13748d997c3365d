package main

import (
	"fmt"
	"io"
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
