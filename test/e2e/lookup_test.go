package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tombolo/cmd/lab"
)

// longestLookUp is what a look-up may take while a linker is killed and started
// again on two cores that do everything else, too; it takes half a second.
const longestLookUp = 1500 * time.Millisecond

// Look-ups wait for a linker that is killed; none fails.
func TestLookUpsWaitForTheLinker(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	h := testLab.Hosts[1]
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"watch", "db"}})
	began := 0 // lines, before those that count
	within(t, func(context.Context) error {
		began = len(lines(web.logs(t)))
		_, err := took(lines(web.logs(t))[max(began-3, 0):])
		if began < 3 {
			err = fmt.Errorf("only %d look-ups", began)
		}
		return err
	})
	for range 3 {
		killChild(t, h)
		waitReady(t, h)
	}
	seen := lines(web.logs(t))[began:]
	longest, err := took(seen)
	if err != nil || longest > longestLookUp || len(seen) < 6 {
		t.Errorf("%d look-ups, the longest took %v: %v", len(seen), longest, err)
	}
	t.Logf("%d look-ups, the longest took %v", len(seen), longest)
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// took is the longest of some look-ups, or the first that failed.
func took(all []string) (longest time.Duration, err error) {
	for _, line := range all {
		d, err := time.ParseDuration(line)
		if err != nil {
			return 0, fmt.Errorf("a look-up failed: %s", line)
		}
		longest = max(longest, d)
	}
	return longest, nil
}

// killChild ends the linker of a host, and not its supervisor, and waits until there
// is another.
func killChild(t *testing.T, h lab.Host) {
	t.Helper()
	before := linkerProcesses(t, h)
	if len(before) != 2 {
		t.Fatalf("the linker's processes are %v", before)
	}
	inHost(t, h, "kill", "-9", before[1])
	within(t, func(context.Context) error {
		if now := linkerProcesses(t, h); len(now) != 2 || now[0] != before[0] || now[1] == before[1] {
			return fmt.Errorf("the linker's processes were %v and are %v", before, now)
		}
		return nil
	})
}
