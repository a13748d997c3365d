package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tombolo/cmd/lab"
)

// longestLookUp is the longest time that a look-up may take while a linker is killed and started
// again. It takes half a second on two cores that also do everything else.
const longestLookUp = 1500 * time.Millisecond

// Look-ups wait while a killed linker starts again. None fails.
func TestLookUpsWaitForTheLinker(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	h := testLab.Hosts[1]
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"watch", "db"}})
	began := 0 // number of lines before the first kill
	within(t, func(context.Context) error {
		began = len(lines(web.logs(t)))
		_, err := took(lines(web.logs(t))[max(began-3, 0):])
		if began < 3 {
			err = fmt.Errorf("only %d look-ups so far", began)
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
		t.Errorf("%d look-ups, the longest took %v: %v; want at least 6, none longer than %v", len(seen), longest, err, longestLookUp)
	}
	t.Logf("%d look-ups, the longest took %v", len(seen), longest)
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// took returns the longest time of some look-ups, or the error of the first that failed.
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

// killChild kills the linker of a host, but not its supervisor, and waits until the supervisor has
// started another.
func killChild(t *testing.T, h lab.Host) {
	t.Helper()
	before := linkerProcesses(t, h)
	if len(before) != 2 {
		t.Fatalf("the linker of %s has the processes %v, want two", h.Name, before)
	}
	inHost(t, h, "kill", "-9", before[1])
	within(t, func(context.Context) error {
		if now := linkerProcesses(t, h); len(now) != 2 || now[0] != before[0] || now[1] == before[1] {
			return fmt.Errorf("the linker of %s had the processes %v and has %v, want the same supervisor and another child", h.Name, before, now)
		}
		return nil
	})
}
