package master

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// taskFault is about a task that is launched with an offer.
func taskFault(info mesos.TaskInfo, o *offer) string {
	checks := []func(mesos.TaskInfo, *offer) string{
		taskIDFault, agentFault, killPolicyFault, healthFault,
		resourcesFault, commandFault, containerFault, executorFault,
	}
	for _, check := range checks {
		if fault := check(info, o); fault != "" {
			return fault
		}
	}
	return ""
}

func taskIDFault(info mesos.TaskInfo, o *offer) string {
	if fault := idFault(info.TaskID.Value); fault != "" {
		return fault
	}
	if o.framework.tasks[info.TaskID.Value] != nil {
		return "Task has duplicate ID: " + info.TaskID.Value
	}
	return ""
}

func agentFault(info mesos.TaskInfo, o *offer) string {
	if info.AgentID.Value != o.agent.id {
		return fmt.Sprintf("Task uses invalid agent %s while agent %s is expected", info.AgentID.Value, o.agent.id)
	}
	return ""
}

func killPolicyFault(info mesos.TaskInfo, _ *offer) string {
	if g := info.GetKillPolicy().GetGracePeriod(); g != nil && g.Nanoseconds < 0 {
		return "Task's 'kill_policy.grace_period' must be non-negative"
	}
	if d := info.MaxCompletionTime; d != nil && d.Nanoseconds < 0 {
		return "Task's 'max_completion_time' must be non-negative"
	}
	return ""
}

func healthFault(info mesos.TaskInfo, _ *offer) string {
	h := info.HealthCheck
	if h == nil {
		return ""
	}
	missing := ""
	switch {
	case h.Type == mesos.HealthCheck_COMMAND && h.Command == nil:
		missing = "Expecting 'command' to be set for COMMAND health check"
	case h.Type == mesos.HealthCheck_HTTP && h.HTTP == nil:
		missing = "Expecting 'http' to be set for HTTP health check"
	case h.Type == mesos.HealthCheck_TCP && h.TCP == nil:
		missing = "Expecting 'tcp' to be set for TCP health check"
	}
	if missing != "" {
		return "Task uses invalid health check: " + missing
	}
	return ""
}

func resourcesFault(info mesos.TaskInfo, _ *offer) string {
	if len(info.Resources) == 0 {
		return "Task uses no resources"
	}
	for _, r := range info.Resources {
		if fault := resourceFault(r); fault != "" {
			r.Unallocate()
			return fmt.Sprintf("Resource '%s' is invalid: %s", describe([]mesos.Resource{r}), fault)
		}
	}
	return ""
}

func resourceFault(r mesos.Resource) string {
	switch r.GetType() {
	case mesos.SCALAR:
		if r.GetScalar() == nil || r.Ranges != nil || r.Set != nil {
			return "Invalid scalar resource"
		}
		if r.Scalar.Value < 0 {
			return "Invalid scalar resource: value <= 0"
		}
	case mesos.RANGES:
		if r.GetRanges() == nil || r.Scalar != nil || r.Set != nil {
			return "Invalid ranges resource"
		}
		for _, x := range r.Ranges.Range {
			if x.Begin > x.End {
				return "Invalid ranges resource: begin <= end is not true"
			}
		}
	case mesos.SET:
		if r.GetSet() == nil || r.Scalar != nil || r.Ranges != nil {
			return "Invalid set resource"
		}
	default:
		return "Unsupported resource type"
	}
	return ""
}

func commandFault(info mesos.TaskInfo, _ *offer) string {
	for _, v := range info.GetCommand().GetEnvironment().GetVariables() {
		kind := v.GetType()
		if v.Type == nil || kind == mesos.Environment_Variable_VALUE {
			if v.Value == nil {
				return fmt.Sprintf("Task's `CommandInfo` is invalid: Environment variable '%s' of type 'VALUE' must have a value set", v.Name)
			}
		}
		if kind == mesos.Environment_Variable_SECRET && v.Secret == nil {
			return fmt.Sprintf("Task's `CommandInfo` is invalid: Environment variable '%s' of type 'SECRET' must have a secret set", v.Name)
		}
	}
	return ""
}

func containerFault(info mesos.TaskInfo, _ *offer) string {
	c := info.Container
	if c == nil {
		return ""
	}
	fault := ""
	switch {
	case c.GetType() == mesos.ContainerInfo_DOCKER && c.Docker == nil:
		fault = "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"
	case slices.ContainsFunc(c.GetDocker().GetParameters(), func(p mesos.Parameter) bool { return p.Key == "name" }):
		fault = "Parameter in DockerInfo must not be 'name'"
	}
	for _, v := range c.Volumes {
		if fault == "" && volumeSources(v) != 1 {
			fault = "Invalid volume: Only one of them should be set: 'host_path', 'image' and 'source'"
		}
	}
	if fault != "" {
		return "Task's `ContainerInfo` is invalid: " + fault
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

func executorFault(info mesos.TaskInfo, _ *offer) string {
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
