package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tombolo/cmd/lab"
	"tombolo/internal/wake"
	"tombolo/linker/api"
	"tombolo/test/chaos/flow"
	"tombolo/test/cli"
)

const (
	// pollEvery is the time between two looks at the flows.
	pollEvery = 20 * time.Millisecond
	// steadyWithin is the longest time until all flows go on after all that a round has done, also
	// where the fault has killed a host.
	steadyWithin = 60 * time.Second
	// calm is the time without a fault at the end of a round, in which nothing may break either.
	calm = time.Second
)

// result is what a round did to the flows.
type result struct {
	datagrams, tcp time.Duration // until the last flow of each kind went on
	lost           []string      // connections that should not have been lost
	late           []string      // flows that went on too late
}

// play makes all rounds. It goes on after a failure, so that the table shows every fault.
func (b bed) play(ctx context.Context, plan []round) error {
	results := map[string][]result{}
	for n, r := range plan {
		h := b.lab.Hosts[r.host]
		res, err := b.playRound(ctx, r.fault, h)
		if err != nil {
			return fmt.Errorf("round %d, %s on %s: %w", n+1, r.fault.name, h.Name, err)
		}
		results[r.fault.name] = append(results[r.fault.name], res)
		fmt.Printf("%3d  %-38s on %s  datagrams after %6.2fs, TCP after %6.2fs, %d connections lost\n",
			n+1, r.fault.name, h.Name, res.datagrams.Seconds(), res.tcp.Seconds(), len(res.lost))
		for _, text := range append(res.lost, res.late...) {
			fmt.Printf("     %s\n", text)
		}
	}
	return printTable(results)
}

func (b bed) playRound(ctx context.Context, f fault, h lab.Host) (result, error) {
	before, err := b.flows()
	if err != nil {
		return result{}, err
	}
	since, err := f.do(ctx, b.lab, h)
	if err != nil {
		return result{}, err
	}
	var res result
	if err := b.await(ctx, since, &res, steadyWithin); err != nil {
		return res, err
	}
	if !wake.Sleep(ctx, calm) {
		return res, ctx.Err()
	}
	if err := b.ready(ctx); err != nil { // otherwise the next fault would meet this one
		return res, err
	}
	if err := b.await(ctx, time.Now(), nil, steadyWithin); err != nil {
		return res, err
	}
	after, err := b.flows()
	if err != nil {
		return res, err
	}
	res.lost = lost(before, after, f, h)
	if res.datagrams > f.within {
		res.late = append(res.late, fmt.Sprintf("the last datagrams went on after %v, want at most %v", res.datagrams.Round(time.Millisecond), f.within))
	}
	return res, nil
}

// ready waits until the linker of every host says that it is ready.
func (b bed) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, steadyWithin)
	defer cancel()
	for _, h := range b.lab.Hosts {
		client := api.NewClient(h.LinkerSocket())
		defer client.Close()
		err := cli.Until(ctx, func() error {
			ctx, cancel := context.WithTimeout(ctx, time.Second) // a linker may be stuck
			defer cancel()
			status, err := client.Status(ctx)
			if err == nil && !status.Ready {
				err = fmt.Errorf("not ready: %v", status.Problems)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("linker of %s: %w", h.Name, err)
		}
	}
	return nil
}

// lost returns why connections ended in a round that should have lasted: both their hosts lived.
// The client of a host that was killed has forgotten its own.
func lost(before, after []flow.State, f fault, h lab.Host) []string {
	known := map[string]int{}
	for _, s := range before {
		for _, reason := range s.Lost {
			known[s.From+reason]++
		}
	}
	var out []string
	for _, s := range after {
		for _, reason := range s.Lost {
			if known[s.From+reason]--; known[s.From+reason] >= 0 {
				continue
			}
			involved := s.From == h.Name || strings.Contains(reason, " to "+h.Name+":")
			if !f.kills || !involved {
				out = append(out, fmt.Sprintf("a connection from %s was lost at %s", s.From, reason))
			}
		}
	}
	return out
}

// await waits until every flow has had an exchange that began after since, and notes in res how long
// that took. The error names the flows that have not.
func (b bed) await(ctx context.Context, since time.Time, res *result, within time.Duration) error {
	want := hosts * 2 * (hosts + 2) // of each client, of each kind: to each server, and two by the service
	for {
		flows, err := b.flows()
		if err != nil {
			return err
		}
		late := slices.DeleteFunc(slices.Clone(flows), func(s flow.State) bool { return s.Began.After(since) })
		took := time.Since(since)
		if res != nil {
			for _, s := range late {
				if s.Network == "udp" {
					res.datagrams = took
				} else {
					res.tcp = took
				}
			}
		}
		if len(late) == 0 && len(flows) == want {
			return nil
		}
		if took > within {
			return fmt.Errorf("%d of %d flows exist, and %d have not gone on within %v: %v", len(flows), want, len(late), within, late)
		}
		if !wake.Sleep(ctx, pollEvery) {
			return ctx.Err()
		}
	}
}

// printTable prints the results by fault, and returns an error if something was lost or late.
func printTable(results map[string][]result) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nFAULT\tROUNDS\tDATAGRAMS AFTER\tTCP AFTER\tALLOWED\tLOST")
	var errs []error
	for _, f := range faults {
		all := results[f.name]
		if len(all) == 0 {
			continue
		}
		var worst result
		for _, r := range all {
			worst.datagrams, worst.tcp = max(worst.datagrams, r.datagrams), max(worst.tcp, r.tcp)
			worst.lost, worst.late = append(worst.lost, r.lost...), append(worst.late, r.late...)
		}
		fmt.Fprintf(w, "%s\t%d\t%.2fs\t%.2fs\t%v\t%d\n", f.name, len(all), worst.datagrams.Seconds(), worst.tcp.Seconds(), f.within, len(worst.lost))
		if len(worst.lost)+len(worst.late) > 0 {
			errs = append(errs, fmt.Errorf("%s: %d connections lost, %d times too late", f.name, len(worst.lost), len(worst.late)))
		}
	}
	return errors.Join(w.Flush(), errors.Join(errs...))
}
