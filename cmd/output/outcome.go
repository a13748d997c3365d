package output

import (
	"fmt"
	"io"
	"slices"

	"tombolo/framework/api"
)

// Up prints that an app is up, the addresses of its published ports, and its warnings.
// hosts gives the addresses of hosts; those that are not in it go by their names.
func Up(out io.Writer, s api.Status, hosts []api.Host) {
	plural := "s"
	if len(s.Instances) == 1 {
		plural = ""
	}
	fmt.Fprintf(out, "%s is up: %d instance%s\n", s.App, len(s.Instances), plural)
	for _, line := range published(s.Instances, hosts) {
		fmt.Fprintf(out, "  %s\n", line)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(out, "warning: %s\n", warning)
	}
}

// Failures prints the instances that keep an app from being up, each with the last lines
// of its log. Instances that failed by themselves come first; if the app has failed, only
// those are the cause, and the ones that wait for them are left out.
func Failures(out io.Writer, s api.Status) {
	var failed, waiting []api.Instance
	for _, i := range s.Instances {
		switch {
		case ready(i):
		case len(i.Log) > 0 || i.State == api.StateFailed || i.State == api.StateUnhealthy || i.State == api.StateLost:
			failed = append(failed, i)
		default:
			waiting = append(waiting, i)
		}
	}
	if s.Failed != "" && len(failed) > 0 {
		waiting = nil
	}
	for _, i := range slices.Concat(failed, waiting) {
		fmt.Fprintf(out, "%s\n", Describe(i))
		for _, line := range i.Log {
			fmt.Fprintf(out, "    | %s\n", line)
		}
	}
}
