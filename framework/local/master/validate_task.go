package master

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// taskFault checks a task that is to be launched with an offer.
func taskFault(info mesos.TaskInfo, o *offer) string {
	return cmp.Or(
		idFault(info.TaskID.Value), slotFault(info, o), timesFault(info), healthFault(info.HealthCheck),
		resourcesFault(info.Resources), environmentFault(info.GetCommand().GetEnvironment().GetVariables()),
		containerFault(info.Container), executorFault(info),
	)
}

func slotFault(info mesos.TaskInfo, o *offer) string {
	switch {
	case o.framework.tasks[info.TaskID.Value] != nil:
		return "Task has duplicate ID: " + info.TaskID.Value
	case info.AgentID.Value != o.agent.id:
		return fmt.Sprintf("Task uses invalid agent %s while agent %s is expected", info.AgentID.Value, o.agent.id)
	}
	return ""
}

func timesFault(info mesos.TaskInfo) string {
	if g := info.GetKillPolicy().GetGracePeriod(); g != nil && g.Nanoseconds < 0 {
		return "Task's 'kill_policy.grace_period' must be non-negative"
	}
	if d := info.MaxCompletionTime; d != nil && d.Nanoseconds < 0 {
		return "Task's 'max_completion_time' must be non-negative"
	}
	return ""
}

func healthFault(h *mesos.HealthCheck) string {
	const missing = "Task uses invalid health check: Expecting '%s' to be set for %s health check"
	switch {
	case h == nil:
	case h.Type == mesos.HealthCheck_COMMAND && h.Command == nil:
		return fmt.Sprintf(missing, "command", "COMMAND")
	case h.Type == mesos.HealthCheck_HTTP && h.HTTP == nil:
		return fmt.Sprintf(missing, "http", "HTTP")
	case h.Type == mesos.HealthCheck_TCP && h.TCP == nil:
		return fmt.Sprintf(missing, "tcp", "TCP")
	}
	return ""
}

func resourcesFault(rs []mesos.Resource) string {
	if len(rs) == 0 {
		return "Task uses no resources"
	}
	for _, r := range rs {
		if fault := resourceFault(r); fault != "" {
			r.Unallocate()
			return fmt.Sprintf("Resource '%s' is invalid: %s", describe([]mesos.Resource{r}), fault)
		}
	}
	return ""
}

func resourceFault(r mesos.Resource) string {
	type values struct{ scalar, ranges, set bool }
	has := values{r.Scalar != nil, r.Ranges != nil, r.Set != nil}
	backwards := func(x mesos.Value_Range) bool { return x.Begin > x.End }
	switch t := r.GetType(); {
	case t == mesos.SCALAR && has != values{scalar: true}:
		return "Invalid scalar resource"
	case t == mesos.SCALAR && r.Scalar.Value < 0:
		return "Invalid scalar resource: value <= 0"
	case t == mesos.RANGES && has != values{ranges: true}:
		return "Invalid ranges resource"
	case t == mesos.RANGES && slices.ContainsFunc(r.Ranges.Range, backwards):
		return "Invalid ranges resource: begin <= end is not true"
	case t == mesos.SET && has != values{set: true}:
		return "Invalid set resource"
	case t != mesos.SCALAR && t != mesos.RANGES && t != mesos.SET:
		return "Unsupported resource type"
	}
	return ""
}

func environmentFault(variables []mesos.Environment_Variable) string {
	const unset = "Task's `CommandInfo` is invalid: Environment variable '%s' of type '%s' must have a %s set"
	for _, v := range variables {
		switch kind := v.GetType(); {
		case (v.Type == nil || kind == mesos.Environment_Variable_VALUE) && v.Value == nil:
			return fmt.Sprintf(unset, v.Name, "VALUE", "value")
		case kind == mesos.Environment_Variable_SECRET && v.Secret == nil:
			return fmt.Sprintf(unset, v.Name, "SECRET", "secret")
		}
	}
	return ""
}

func containerFault(c *mesos.ContainerInfo) string {
	const invalid = "Task's `ContainerInfo` is invalid: "
	named := func(p mesos.Parameter) bool { return p.Key == "name" }
	switch {
	case c == nil:
	case c.GetType() == mesos.ContainerInfo_DOCKER && c.Docker == nil:
		return invalid + "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"
	case slices.ContainsFunc(c.GetDocker().GetParameters(), named):
		return invalid + "Parameter in DockerInfo must not be 'name'"
	case slices.ContainsFunc(c.Volumes, func(v mesos.Volume) bool { return volumeSources(v) != 1 }):
		return invalid + "Invalid volume: Only one of them should be set: 'host_path', 'image' and 'source'"
	}
	return ""
}

func volumeSources(v mesos.Volume) int {
	n := 0
	for _, set := range []bool{v.HostPath != nil, v.Image != nil, v.Source != nil} {
		if set {
			n++
		}
	}
	return n
}

func executorFault(info mesos.TaskInfo) string {
	if (info.Command == nil) == (info.Executor == nil) {
		return "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
	}
	return ""
}

// describe writes resources as Mesos does: cpus(allocated: web):0.1; mem(…):32.
func describe(rs []mesos.Resource) string {
	parts := make([]string, 0, len(rs))
	for _, r := range rs {
		name := r.Name
		if role := r.GetAllocationInfo().GetRole(); role != "" {
			name += "(allocated: " + role + ")"
		}
		parts = append(parts, name+":"+describeValue(r))
	}
	return strings.Join(parts, "; ")
}

func describeValue(r mesos.Resource) string {
	switch r.GetType() {
	case mesos.RANGES:
		var parts []string
		for _, x := range r.GetRanges().GetRange() {
			parts = append(parts, fmt.Sprintf("%d-%d", x.Begin, x.End))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case mesos.SET:
		return "{" + strings.Join(r.GetSet().GetItem(), ", ") + "}"
	default:
		return strconv.FormatFloat(r.GetScalar().GetValue(), 'f', -1, 64)
	}
}
