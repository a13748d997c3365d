package deploy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/app"
)

func TestHeal(t *testing.T) {
	sick := func(ago time.Duration) func(*Task) {
		return func(t *Task) { t.Up, t.UnhealthySince = false, epoch.Add(-ago) }
	}
	starting := func(t *Task) { t.Up = false }
	killing := func(t *Task) { t.Killing = true }
	for _, c := range []struct {
		name   string
		change func(*app.Service)
		tasks  [2]func(*Task)
		want   []string
		wake   time.Duration
	}{
		{name: "not for long", tasks: [2]func(*Task){sick(10 * time.Second)}, wake: UnhealthyTimeout - 10*time.Second},
		{name: "for long", tasks: [2]func(*Task){sick(UnhealthyTimeout)}, want: []string{"shop.web.1.g1: it is unhealthy"}},
		{
			name: "the longest first, alone", tasks: [2]func(*Task){sick(UnhealthyTimeout + 1), sick(UnhealthyTimeout + 2)},
			want: []string{"shop.web.2.g1: it is unhealthy"},
		},
		{name: "another is on its way in", tasks: [2]func(*Task){sick(UnhealthyTimeout), starting}},
		{name: "another is on its way out", tasks: [2]func(*Task){sick(UnhealthyTimeout), killing}},
		{name: "never replaced", change: func(s *app.Service) { s.NeverReplace = true }, tasks: [2]func(*Task){sick(time.Hour)}},
		{name: "not started again", change: func(s *app.Service) { s.Restart.Condition = app.RestartNone }, tasks: [2]func(*Task){sick(time.Hour)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := service("web", 2)
			if c.change != nil {
				c.change(&s)
			}
			a := wanted(s)
			var tasks []Task
			for i, change := range c.tasks {
				if change == nil {
					change = func(*Task) {}
				}
				tasks = append(tasks, running(a, "web", i+1, change))
			}
			p := Next(with(a, tasks...), epoch)
			if diff := cmp.Diff(c.want, kills(p)); diff != "" {
				t.Errorf("kills (-want +got):\n%s", diff)
			}
			if c.wake > 0 && !p.Wake.Equal(epoch.Add(c.wake)) {
				t.Errorf("wakes at %v", p.Wake)
			}
		})
	}
}
