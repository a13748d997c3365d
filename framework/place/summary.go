package place

import (
	"fmt"
	"strings"
)

// Summary returns refusals as one line for users. The reason why the instance is tied to
// one host comes first, then the other reasons, each with the hosts that give it.
func Summary(refusals []Refusal) string {
	if len(refusals) == 0 {
		return "no host has joined the cluster"
	}
	tied := ""
	var reasons []string
	hosts := map[string][]string{} // by reason
	for _, r := range refusals {
		if r.Kind == Volume || r.Kind == WrongHost {
			tied = r.Reason
			continue
		}
		if hosts[r.Reason] == nil {
			reasons = append(reasons, r.Reason)
		}
		hosts[r.Reason] = append(hosts[r.Reason], r.Host)
	}
	if tied != "" && len(reasons) == 0 {
		return tied + ", which is away"
	}
	var parts []string
	if tied != "" {
		parts = append(parts, tied)
	}
	for _, reason := range reasons {
		names := strings.Join(hosts[reason], ", ")
		if len(hosts[reason]) > 5 {
			names = fmt.Sprintf("%d hosts", len(hosts[reason]))
		}
		parts = append(parts, names+": "+reason)
	}
	return strings.Join(parts, "; ")
}

// Permanent reports whether the refusals stand until somebody changes the app or the
// cluster: every host refuses because of a constraint, a taken port or its resources, or
// because the request is for another host.
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
