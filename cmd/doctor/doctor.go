package doctor

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Check gathers the facts of this machine and examines them. With fix it runs the fixes of
// what it found, says so on progress, and examines the machine again.
func Check(ctx context.Context, at Places, fix bool, progress io.Writer) Examination {
	found := Examine(Gather(ctx, at))
	if !fix || !mend(ctx, found.Findings, progress) {
		return found
	}
	return Examine(Gather(ctx, at))
}

// mend runs the fixes, each once. It reports whether there were any.
func mend(ctx context.Context, findings []Finding, progress io.Writer) bool {
	done := map[string]bool{}
	for _, f := range findings {
		command := strings.Join(f.Fix, " ")
		if command == "" || done[command] {
			continue
		}
		done[command] = true
		out, err := exec.CommandContext(ctx, f.Fix[0], f.Fix[1:]...).CombinedOutput()
		if err != nil {
			fmt.Fprintf(progress, "%s: %v: %s\n", command, err, strings.TrimSpace(string(out)))
			continue
		}
		fmt.Fprintf(progress, "%s: done\n", command)
	}
	return len(done) > 0
}
