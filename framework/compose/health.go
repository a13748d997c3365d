package compose

import (
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// execTest is said of CMD tests: `docker run` has only --health-cmd, which is
// CMD-SHELL.
const execTest = "the CMD form runs through /bin/sh, as Docker's command line has no other; " +
	"an image without a shell needs its HEALTHCHECK in the Dockerfile"

func (s *serviceMapping) health() {
	in := s.in.HealthCheck
	if in == nil {
		return
	}
	h := &app.Health{
		Test:          in.Test,
		Interval:      duration(in.Interval),
		Timeout:       duration(in.Timeout),
		StartPeriod:   duration(in.StartPeriod),
		StartInterval: duration(in.StartInterval),
	}
	if in.Retries != nil {
		h.Retries = int(min(*in.Retries, 1<<30))
	}
	p := s.path.To("healthcheck")
	if in.Disable {
		h = &app.Health{Test: []string{"NONE"}}
	}
	if len(h.Test) > 0 && h.Test[0] == "CMD" {
		s.report.Warn(p.To("test"), "%s", execTest)
	}
	if h.StartInterval != 0 {
		s.report.Warn(p.To("start_interval"), "needs Docker 25 or later on the hosts")
	}
	s.out.Health = h
}

func duration(d *types.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}
