package deploy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/app"
)

func TestUnhealthyTasksAreReplaced(t *testing.T) {
	unhealthy := func(ago time.Duration) func(*Task) {
		return func(t *Task) { t.Up, t.UnhealthySince = false, epoch.Add(-ago) }
	}
	starting := func(t *Task) { t.Up = false }
	killing := func(t *Task) { t.Killing = true }
	healing := func(t *Task) { t.Killing, t.KilledUnhealthy = true, true }
	healed := Slot{Outcome: Failed, Unhealthy: true}
	for _, c := range []struct {
		name   string
		change func(*app.Service)
		tasks  [2]func(*Task)
		second Slot // what is known of the slot of the second task
		want   []string
		wake   time.Duration
	}{
		{name: "not before the timeout", tasks: [2]func(*Task){unhealthy(10 * time.Second)}, wake: UnhealthyTimeout - 10*time.Second},
		{name: "after the timeout", tasks: [2]func(*Task){unhealthy(UnhealthyTimeout)}, want: []string{"shop.web.1.g1: it is unhealthy"}},
		{
			name: "one at a time, the longest unhealthy first", tasks: [2]func(*Task){unhealthy(UnhealthyTimeout + 1), unhealthy(UnhealthyTimeout + 2)},
			want: []string{"shop.web.2.g1: it is unhealthy"},
		},
		{name: "while another starts", tasks: [2]func(*Task){unhealthy(UnhealthyTimeout), starting}, want: []string{"shop.web.1.g1: it is unhealthy"}},
		{name: "while another stops", tasks: [2]func(*Task){unhealthy(UnhealthyTimeout), killing}, want: []string{"shop.web.1.g1: it is unhealthy"}},
		{name: "not while another that was unhealthy stops", tasks: [2]func(*Task){unhealthy(UnhealthyTimeout), healing}},
		{name: "not while the one in the place of another starts", tasks: [2]func(*Task){unhealthy(UnhealthyTimeout), starting}, second: healed},
		{name: "once that one is up", tasks: [2]func(*Task){unhealthy(UnhealthyTimeout)}, second: healed, want: []string{"shop.web.1.g1: it is unhealthy"}},
		{
			name: "once that one is unhealthy, too", tasks: [2]func(*Task){unhealthy(UnhealthyTimeout), unhealthy(UnhealthyTimeout + 1)}, second: healed,
			want: []string{"shop.web.2.g1: it is unhealthy"},
		},
		{name: "not if the service is never replaced", change: func(s *app.Service) { s.NeverReplace = true }, tasks: [2]func(*Task){unhealthy(time.Hour)}},
		{name: "not if the service is not restarted", change: func(s *app.Service) { s.Restart.Condition = app.RestartNone }, tasks: [2]func(*Task){unhealthy(time.Hour)}},
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
			in := with(a, tasks...)
			c.second.Generation, c.second.Host = in.Slots[tasks[1].SlotID].Generation, tasks[1].Host
			in.Slots[tasks[1].SlotID] = c.second
			p := Next(in, epoch)
			if diff := cmp.Diff(c.want, kills(p)); diff != "" {
				t.Errorf("Next kills other tasks (-want +got):\n%s", diff)
			}
			if c.wake > 0 && !p.Wake.Equal(epoch.Add(c.wake)) {
				t.Errorf("Next wants to be called again at %v, want %v", p.Wake, epoch.Add(c.wake))
			}
		})
	}
}
