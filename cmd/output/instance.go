package output

import (
	"fmt"
	"strings"

	"tombolo/framework/api"
)

// ready reports whether an instance is as the app wants it: up, or done if it was to end.
func ready(i api.Instance) bool { return i.State == api.StateUp || i.State == api.StateDone }

func instanceName(i api.Instance) string { return fmt.Sprintf("%s.%d", i.Service, i.Slot) }

// Describe returns one line about an instance: its name, state, host, address and the
// reason of its state.
func Describe(i api.Instance) string {
	line := fmt.Sprintf("%s %s", instanceName(i), i.State)
	if i.Host != "" {
		line += " on " + i.Host
	}
	if i.Address != "" {
		line += " " + i.Address
	}
	if i.Reason != "" {
		line += ": " + oneLine(i.Reason)
	}
	return line
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Summary returns a few words about an app: how many of its instances are up, and why it
// failed.
func Summary(s api.Status) string {
	up := 0
	for _, i := range s.Instances {
		if ready(i) {
			up++
		}
	}
	state := fmt.Sprintf("%d of %d instances up", up, len(s.Instances))
	if s.Removing {
		state = fmt.Sprintf("being removed, %d instances left", len(s.Instances))
	}
	if s.Failed != "" {
		state += "; " + s.Failed
	}
	return state
}
