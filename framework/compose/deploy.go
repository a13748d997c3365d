package compose

import (
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// deploy maps deploy and what Compose has beside it for the same.
func (s *serviceMapping) deploy() {
	d := s.in.Deploy
	if d == nil {
		d = &types.DeployConfig{}
	}
	p := s.path.To("deploy")
	switch d.Mode {
	case "", "replicated":
	case "global":
		s.out.Global = true
	default:
		s.report.Problem(p.To("mode"), "%s is not supported, only replicated and global", d.Mode)
	}
	if d.EndpointMode != "" && d.EndpointMode != "dnsrr" {
		s.report.Problem(p.To("endpoint_mode"), "%s is not supported yet, only dnsrr: names answer with the instances' own addresses", d.EndpointMode)
	}
	s.replicas(d)
	s.restart(d.RestartPolicy)
	for i, text := range d.Placement.Constraints {
		s.constraint(text, p.To("placement", "constraints").Item(i))
	}
}

func (s *serviceMapping) replicas(d *types.DeployConfig) {
	s.out.Replicas = s.in.GetScale()
	if s.in.Scale != nil && d.Replicas != nil && *s.in.Scale != *d.Replicas {
		s.report.Problem(s.path.To("scale"), "says %d, deploy.replicas says %d", *s.in.Scale, *d.Replicas)
	}
}

// restart maps restart, or deploy.restart_policy, which wins as in Compose.
func (s *serviceMapping) restart(policy *types.RestartPolicy) {
	s.out.Restart = s.simpleRestart()
	if policy == nil {
		return
	}
	r := app.Restart{Condition: app.RestartAny, Delay: duration(policy.Delay), Window: duration(policy.Window)}
	if policy.MaxAttempts != nil {
		r.MaxAttempts = int(min(*policy.MaxAttempts, 1<<30))
	}
	p := s.path.To("deploy", "restart_policy")
	switch policy.Condition {
	case "", app.RestartAny, app.RestartNone, app.RestartOnFailure:
		if policy.Condition != "" {
			r.Condition = policy.Condition
		}
	default:
		s.report.Problem(p.To("condition"), "%s is not supported, only none, on-failure and any", policy.Condition)
	}
	if s.in.Restart != "" && s.out.Restart.Condition != r.Condition {
		s.report.Warn(s.path.To("restart"), "deploy.restart_policy says otherwise, and wins")
	}
	s.out.Restart = r
}

func (s *serviceMapping) simpleRestart() app.Restart {
	word, attempts, limited := strings.Cut(s.in.Restart, ":")
	if limited && word != types.RestartPolicyOnFailure {
		s.report.Problem(s.path.To("restart"), "only on-failure takes a number of attempts")
	}
	switch word {
	case types.RestartPolicyNo:
		return app.Restart{Condition: app.RestartNone}
	case "", types.RestartPolicyAlways, types.RestartPolicyUnlessStopped:
		return app.Restart{Condition: app.RestartAny}
	case types.RestartPolicyOnFailure:
		n, err := strconv.Atoi(attempts)
		if attempts != "" && (err != nil || n < 0) {
			s.report.Problem(s.path.To("restart"), "%q is no number of attempts", attempts)
		}
		return app.Restart{Condition: app.RestartOnFailure, MaxAttempts: n}
	}
	s.report.Problem(s.path.To("restart"), "%q is not supported, only no, always, on-failure[:N] and unless-stopped", s.in.Restart)
	return app.Restart{Condition: app.RestartAny}
}

// freeRuns lets the services that others wait for to complete end: where their
// file names no policy, they are not started again as a cluster's services are.
func (m *mapping) freeRuns(a *app.App) {
	for _, s := range a.Services {
		for name, d := range s.DependsOn {
			job, ok := a.Services[name]
			if d.Condition != app.Completed || !ok {
				continue
			}
			if in := m.project.Services[name]; in.Restart == "" && (in.Deploy == nil || in.Deploy.RestartPolicy == nil) {
				job.Restart = app.Restart{Condition: app.RestartNone}
				a.Services[name] = job
			}
		}
	}
}

// constraint maps "node.hostname == h1" and "node.labels.zone != b".
func (s *serviceMapping) constraint(text string, p app.Path) {
	for _, op := range []string{"==", "!="} {
		left, right, ok := strings.Cut(text, op)
		if !ok {
			continue
		}
		c := app.Constraint{Attribute: strings.TrimSpace(left), Op: op, Value: strings.TrimSpace(right)}
		label, isLabel := strings.CutPrefix(c.Attribute, "node.labels.")
		switch {
		case c.Attribute == "node.hostname":
			c.Attribute = "hostname"
		case isLabel:
			c.Attribute = label
		default:
			s.report.Problem(p, "%s is not supported, only node.hostname and node.labels.NAME", c.Attribute)
			return
		}
		s.out.Constraints = append(s.out.Constraints, c)
		return
	}
	s.report.Problem(p, "%q is not of the form node.hostname == NAME, or with !=", text)
}

// resources maps deploy.resources and the older keys, which may say the same
// thing, but nothing else.
func (s *serviceMapping) resources() {
	limits, reservations := &types.Resource{}, &types.Resource{}
	if d := s.in.Deploy; d != nil {
		limits, reservations = orEmpty(d.Resources.Limits), orEmpty(d.Resources.Reservations)
	}
	p := s.path
	r := &s.out.Resources
	r.CPULimit = agree(s, p.To("cpus"), exact(s.in.CPUS), exact(limits.NanoCPUs.Value()))
	r.MemLimit = agree(s, p.To("mem_limit"), int64(s.in.MemLimit), int64(limits.MemoryBytes))
	r.PIDsLimit = agree(s, p.To("pids_limit"), s.in.PidsLimit, limits.Pids)
	r.CPUs = exact(reservations.NanoCPUs.Value())
	r.MemBytes = agree(s, p.To("mem_reservation"), int64(s.in.MemReservation), int64(reservations.MemoryBytes))
	if reservations.Pids != 0 {
		s.report.Problem(p.To("deploy", "resources", "reservations", "pids"), "process IDs can be limited, not reserved")
	}
}

func orEmpty(r *types.Resource) *types.Resource {
	if r == nil {
		return &types.Resource{}
	}
	return r
}

// agree is the one of two values that is set.
func agree[N float64 | int64](s *serviceMapping, p app.Path, old, deploy N) N {
	if old == 0 {
		return deploy
	}
	if deploy != 0 && deploy != old {
		s.report.Problem(p, "says %v, deploy.resources says %v", old, deploy)
	}
	return old
}

// exact is the number that was written, not the nearest float32 to it.
func exact(f float32) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	return v
}
