package compose

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// deploy maps deploy, and the older keys for the same.
func (s *serviceMapping) deploy() {
	d := cmp.Or(s.in.Deploy, &types.DeployConfig{})
	p := s.path.To("deploy")
	s.out.Global = d.Mode == "global"
	if !slices.Contains([]string{"", "replicated", "global"}, d.Mode) {
		s.unsupported(p.To("mode"), d.Mode)
	}
	s.out.DNSRR = d.EndpointMode == "dnsrr"
	if !slices.Contains([]string{"", "vip", "dnsrr"}, d.EndpointMode) {
		s.unsupported(p.To("endpoint_mode"), d.EndpointMode)
	}
	s.out.Replicas = s.in.GetScale()
	if s.in.Scale != nil && d.Replicas != nil && *s.in.Scale != *d.Replicas {
		s.Problem(s.path.To("scale"), "is %d, but deploy.replicas is %d", *s.in.Scale, *d.Replicas)
	}
	s.out.Restart = s.restart()
	if d.RestartPolicy != nil {
		s.restartPolicy(d.RestartPolicy, p.To("restart_policy"))
	}
	for i, text := range d.Placement.Constraints {
		s.constraint(text, p.To("placement", "constraints").Item(i))
	}
}

func (s *serviceMapping) restart() app.Restart {
	p := s.path.To("restart")
	word, attempts, limited := strings.Cut(s.in.Restart, ":")
	if limited && word != types.RestartPolicyOnFailure {
		s.Problem(p, "only on-failure takes a number of attempts")
	}
	switch word {
	case types.RestartPolicyNo:
		return app.Restart{Condition: app.RestartNone}
	case types.RestartPolicyOnFailure:
		n, err := strconv.Atoi(attempts)
		if attempts != "" && (err != nil || n < 0) {
			s.Problem(p, "%q is not a number of attempts", attempts)
		}
		return app.Restart{Condition: app.RestartOnFailure, MaxAttempts: n}
	case "", types.RestartPolicyAlways, types.RestartPolicyUnlessStopped:
	default:
		s.unsupported(p, s.in.Restart)
	}
	return app.Restart{Condition: app.RestartAny}
}

// restartPolicy maps deploy.restart_policy, which has priority over restart as in
// `docker compose`.
func (s *serviceMapping) restartPolicy(policy *types.RestartPolicy, p app.Path) {
	r := app.Restart{
		Condition:   app.RestartAny,
		MaxAttempts: int(min(deref(policy.MaxAttempts), 1<<30)),
		Delay:       time.Duration(deref(policy.Delay)),
		Window:      time.Duration(deref(policy.Window)),
	}
	switch policy.Condition {
	case "":
	case app.RestartAny, app.RestartNone, app.RestartOnFailure:
		r.Condition = policy.Condition
	default:
		s.unsupported(p.To("condition"), policy.Condition)
	}
	if s.in.Restart != "" && s.out.Restart.Condition != r.Condition {
		s.Warn(s.path.To("restart"), "it has no effect: deploy.restart_policy says something else, and has priority")
	}
	s.out.Restart = r
}

// constraint maps "node.hostname == h1" and "node.labels.zone != b".
func (s *serviceMapping) constraint(text string, p app.Path) {
	op := "=="
	left, right, ok := strings.Cut(text, op)
	if !ok {
		op = "!="
		left, right, ok = strings.Cut(text, op)
	}
	attribute, value := strings.TrimSpace(left), strings.TrimSpace(right)
	label, isLabel := strings.CutPrefix(attribute, "node.labels.")
	if attribute == "node.hostname" {
		label, isLabel = "hostname", true
	}
	if !ok || !isLabel {
		s.Problem(p, "%q cannot be honoured: %s", text, remark(p[:len(p)-1]))
		return
	}
	s.out.Constraints = append(s.out.Constraints, app.Constraint{Attribute: label, Op: op, Value: value})
}

// resources maps deploy.resources and the older keys. A file may have both if they say
// the same.
func (s *serviceMapping) resources() {
	d := cmp.Or(s.in.Deploy, &types.DeployConfig{}).Resources
	limits, reservations := cmp.Or(d.Limits, &types.Resource{}), cmp.Or(d.Reservations, &types.Resource{})
	s.out.Resources = app.Resources{
		CPULimit:  agreed(s, "cpus", exact(s.in.CPUS), exact(limits.NanoCPUs.Value())),
		MemLimit:  agreed(s, "mem_limit", int64(s.in.MemLimit), int64(limits.MemoryBytes)),
		PIDsLimit: agreed(s, "pids_limit", s.in.PidsLimit, limits.Pids),
		CPUs:      exact(reservations.NanoCPUs.Value()),
		MemBytes:  agreed(s, "mem_reservation", int64(s.in.MemReservation), int64(reservations.MemoryBytes)),
	}
}

// agreed returns the value of an older key or of deploy.resources, whichever is set, and
// reports two values that differ.
func agreed[N float64 | int64](s *serviceMapping, key string, old, deploy N) N {
	if old == 0 {
		return deploy
	}
	if deploy != 0 && deploy != old {
		s.Problem(s.path.To(key), "is %v, but deploy.resources has %v", old, deploy)
	}
	return old
}

// exact returns the number that the file has, instead of the float32 next to it.
func exact(f float32) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	return v
}
