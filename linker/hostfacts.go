package linker

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"tombolo/internal/text"
	"tombolo/internal/wake"
	"tombolo/linker/block"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// hostFacts are the parts of this host's record that change while its linker runs.
type hostFacts struct {
	mu        sync.Mutex
	mtu       int
	troubles  []string
	addresses []netip.Addr

	announcing sync.Mutex
	left       bool // the linker has announced that it ends
}

func (f *hostFacts) get() (mtu int, troubles []string, addresses []netip.Addr) {
	if f == nil {
		return 0, nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mtu, f.troubles, f.addresses
}

// set reports whether the facts were others before.
func (f *hostFacts) set(mtu int, troubles []string, addresses []netip.Addr) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mtu == mtu && slices.Equal(f.troubles, troubles) && slices.Equal(f.addresses, addresses) {
		return false
	}
	f.mtu, f.troubles, f.addresses = mtu, troubles, addresses
	return true
}

// whilePresent calls announce unless leave has been called. leave waits until it has returned.
func (f *hostFacts) whilePresent(announce func() error) error {
	f.announcing.Lock()
	defer f.announcing.Unlock()
	if f.left {
		return nil
	}
	return announce()
}

// leave keeps later announcements from undoing that of a restart.
func (f *hostFacts) leave() {
	f.announcing.Lock()
	defer f.announcing.Unlock()
	f.left = true
}

// selfReporter announces this host anew when its facts have changed, so that peers send it no
// larger packets than it takes, and so that every framework can tell which hosts are not ready.
type selfReporter struct {
	host     thisHost
	block    interface{ Current() *block.Claim }
	plane    hostPlane
	problems *problem.Set
	matched  latch
}

// hostPlane is what the data plane knows about this host.
type hostPlane interface {
	MTU() int
	Addresses() []netip.Addr
}

// factsEvery is the longest time until a change is announced.
const factsEvery = time.Second

func (r *selfReporter) run(ctx context.Context) error {
	select {
	case <-r.matched.opened: // before that, it is not ready because it starts
	case <-ctx.Done():
		return nil
	}
	for {
		if err := r.report(); err != nil {
			return err
		}
		if !wake.Sleep(ctx, factsEvery) {
			return nil
		}
	}
}

func (r *selfReporter) report() error {
	claim := r.block.Current()
	if claim == nil || !r.host.facts.set(r.plane.MTU(), troublesOf(r.problems.List()), firstOf(r.plane.Addresses(), record.MaxAddresses)) {
		return nil
	}
	return r.host.facts.whilePresent(func() error { return r.host.refresh(claim) })
}

func firstOf(addresses []netip.Addr, n int) []netip.Addr { return addresses[:min(n, len(addresses))] }

// troublesOf returns the outages among problems, as short as a host's record may hold them. It prefers those of
// different kinds: many containers or hosts suffer from one cause, and the cause is often of another kind.
func troublesOf(problems []problem.Problem) (out []string) {
	var first, more []problem.Problem
	for _, p := range problems {
		switch known := func(of problem.Problem) bool { return of.Name == p.Name }; {
		case p.Severity != problem.Outage:
		case slices.ContainsFunc(first, known):
			more = append(more, p)
		default:
			first = append(first, p)
		}
	}
	all := slices.Concat(first, more)
	all = all[:min(len(all), record.MaxTroubles)]
	slices.SortFunc(all, problem.Compare)
	for _, p := range all {
		p.Remedy = ""
		out = append(out, text.Shorten(printable(p.String()), record.MaxTrouble))
	}
	return out
}

// printable returns a text without control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
