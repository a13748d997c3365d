package linker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/contest"
	"tombolo/linker/problem"
	"tombolo/overlay"
)

// contests reports what another program undoes again and again, and who that may be.
type contests struct {
	problems *problem.Set
	root     fs.FS // of this host; the files of suspects are in it

	mu     sync.Mutex
	counts contest.Counts
}

func newContests(p *problem.Set) *contests { return &contests{problems: p, root: os.DirFS("/")} }

// note is told what the data plane has put right.
func (c *contests) note(repairs []overlay.Repair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.counts.Note(repairs, now)
	c.report(now)
}

// run ends the problem some time after the other program has stopped.
func (c *contests) run(ctx context.Context) error {
	for wake.Sleep(ctx, time.Minute) {
		c.mu.Lock()
		c.report(time.Now())
		c.mu.Unlock()
	}
	return nil
}

func (c *contests) report(now time.Time) {
	var errs []error
	for _, contested := range c.counts.Contested(now) {
		errs = append(errs, c.describe(contested))
	}
	c.problems.Report(problem.KernelContested, errors.Join(errs...))
}

// describe names the thing, how often it was undone, and what may have done it.
func (c *contests) describe(contested contest.Contested) error {
	reason := fmt.Sprintf("was undone at least %d times within %v", rounded(contested.Times), contest.Window)
	var who, remedies []string
	for _, s := range contest.Suspects(c.root, contested.Repair) {
		who, remedies = append(who, s.What), append(remedies, s.Remedy)
	}
	if len(who) > 0 {
		reason += ", perhaps by " + strings.Join(who, ", or by ")
	}
	return problem.Found{Subject: string(contested.Kind) + " " + contested.Thing, Reason: reason, Remedy: strings.Join(slices.Compact(remedies), "; ")}
}

// rounded keeps a reason from changing with each repair, because each new reason is logged.
func rounded(times int) int {
	for _, n := range []int{1000, 300, 100, 30, 10} {
		if times >= n {
			return n
		}
	}
	return contest.Often
}
