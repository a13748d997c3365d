package master

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
)

// Functions named ...Fault return why something is invalid, or "" if it is valid. Their
// texts and the order of their checks are those of Apache Mesos.

func frameworkFault(info mesos.FrameworkInfo, suppressed []string) string {
	fault := rolesFault(info)
	if id := info.GetID().GetValue(); id != "" {
		fault = cmp.Or(fault, idFault(id))
	}
	if fault != "" {
		return fault
	}
	if s := info.GetFailoverTimeout(); math.IsNaN(s) || s > math.MaxInt64/1e9 {
		return fmt.Sprintf("The framework failover_timeout (%g) is invalid", s)
	}
	roles := rolesOf(info)
	others := slices.DeleteFunc(slices.Clone(suppressed), func(r string) bool { return slices.Contains(roles, r) })
	if len(others) > 0 {
		return fmt.Sprintf("Suppressed roles %s are not contained in the set of roles", braces(others))
	}
	return ""
}

// changeFault checks what UPDATE_FRAMEWORK may not change.
func changeFault(old, changed mesos.FrameworkInfo) string {
	const unsupported = "Updating 'FrameworkInfo.%s' is unsupported; attempted to update from '%v' to '%v'"
	switch {
	case old.User != changed.User:
		return fmt.Sprintf(unsupported, "user", old.User, changed.User)
	case old.GetPrincipal() != changed.GetPrincipal():
		return fmt.Sprintf(unsupported, "principal", old.GetPrincipal(), changed.GetPrincipal())
	case old.GetCheckpoint() != changed.GetCheckpoint():
		return fmt.Sprintf(unsupported, "checkpoint", old.GetCheckpoint(), changed.GetCheckpoint())
	}
	return ""
}

func rolesFault(info mesos.FrameworkInfo) string {
	multi := local.HasCapability(info, mesos.FrameworkInfo_Capability_MULTI_ROLE)
	switch {
	case multi && info.Role != nil:
		return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
	case !multi && len(info.Roles) > 0:
		return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
	case !multi:
		if fault := roleFault(info.GetRole()); fault != "" {
			return "'FrameworkInfo.role' is not a valid role: " + fault
		}
		return ""
	}
	if twice := duplicates(info.Roles); len(twice) > 0 {
		return "'FrameworkInfo.roles' contains duplicate items: " + braces(twice)
	}
	for _, role := range info.Roles {
		if fault := roleFault(role); fault != "" {
			return "'FrameworkInfo.roles' contains invalid role: " + fault
		}
	}
	return ""
}

func roleFault(role string) string {
	switch {
	case role == "*":
		return ""
	case role == "":
		return "Empty role name is invalid"
	case strings.HasPrefix(role, "/"):
		return fmt.Sprintf("Role '%s' cannot start with a slash", role)
	case strings.HasSuffix(role, "/"):
		return fmt.Sprintf("Role '%s' cannot end with a slash", role)
	case strings.Contains(role, "//"):
		return fmt.Sprintf("Role '%s' cannot contain two adjacent slashes", role)
	}
	for part := range strings.SplitSeq(role, "/") {
		switch {
		case part == "." || part == ".." || part == "*":
			return fmt.Sprintf("Role '%s' cannot include '%s' as a component", role, part)
		case strings.HasPrefix(part, "-"):
			return fmt.Sprintf("Role component '%s' is invalid because it starts with a dash", part)
		case strings.ContainsAny(part, "\x08\x09\x0a\x0b\x0c\x0d\x20"):
			return fmt.Sprintf("Role component '%s' is invalid because it contains backspace or whitespace", part)
		}
	}
	return ""
}

// idFault checks the ID of a framework or a task.
func idFault(id string) string {
	const maxID = 255
	switch {
	case id == "":
		return "ID must not be empty"
	case len(id) > maxID:
		return fmt.Sprintf("ID must not be greater than %d characters", maxID)
	case id == "." || id == "..":
		return fmt.Sprintf("'%s' is disallowed", id)
	case strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' }):
		return fmt.Sprintf("'%s' contains invalid characters", id)
	}
	return ""
}

func duplicates(items []string) []string {
	seen, twice := map[string]bool{}, []string(nil)
	for _, i := range items {
		if seen[i] && !slices.Contains(twice, i) {
			twice = append(twice, i)
		}
		seen[i] = true
	}
	return twice
}

// braces writes a set as Mesos does: { a, b }.
func braces(items []string) string {
	return "{ " + strings.Join(slices.Sorted(slices.Values(items)), ", ") + " }"
}
