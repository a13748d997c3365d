package place

import (
	"fmt"
	"strings"
)

// Summary puts refusals into one line for people. A volume or a host that the
// request is bound to comes first, with what is wrong there; else hosts that
// give the same reason are named together.
func Summary(refusals []Refusal) string {
	if len(refusals) == 0 {
		return "no host has joined the cluster"
	}
	bound := ""
	var hosts = map[string][]string{}
	var reasons []string
	for _, r := range refusals {
		if r.Kind == Volume || r.Kind == WrongHost {
			bound = r.Reason
			continue
		}
		if hosts[r.Reason] == nil {
			reasons = append(reasons, r.Reason)
		}
		hosts[r.Reason] = append(hosts[r.Reason], r.Host)
	}
	parts := make([]string, 0, len(reasons)+1)
	if bound != "" {
		parts = append(parts, bound)
	}
	for _, reason := range reasons {
		names := strings.Join(hosts[reason], ", ")
		if len(hosts[reason]) > 5 {
			names = fmt.Sprintf("%d hosts", len(hosts[reason]))
		}
		parts = append(parts, names+": "+reason)
	}
	if bound != "" && len(reasons) == 0 {
		parts = append(parts, "which is away")
		return strings.Join(parts, ", ")
	}
	return strings.Join(parts, "; ")
}

// Permanent reports whether the refusals will stand until the app or the cluster is
// changed: every host refuses for a constraint, a taken port or too little room.
func Permanent(refusals []Refusal) bool {
	for _, r := range refusals {
		switch r.Kind {
		case Constraint, Port, Resources, WrongHost:
		default:
			return false
		}
	}
	return len(refusals) > 0
}
