package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/app"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// service returns a service with dependencies, written "name:condition".
func service(name string, replicas int, after ...string) app.Service {
	s := app.Service{Name: name, Image: name, Replicas: replicas, Restart: app.Restart{Condition: app.RestartAny}}
	for _, d := range after {
		other, condition, _ := strings.Cut(d, ":")
		if s.DependsOn == nil {
			s.DependsOn = map[string]app.Dependency{}
		}
		s.DependsOn[other] = app.Dependency{Condition: condition}
	}
	return s
}

// wanted returns the app shop with services.
func wanted(services ...app.Service) app.App {
	a := app.App{Name: "shop", Services: map[string]app.Service{}}
	for _, s := range services {
		a.Services[s.Name] = s
	}
	return a
}

// running returns a task that is up, after the changes.
func running(a app.App, name string, slot int, change ...func(*Task)) Task {
	t := Task{
		ID: name, SlotID: SlotID{name, slot}, Generation: 1, Spec: Specs(a)[name],
		Host: "h1", Phase: Running, Up: true,
	}
	for _, fn := range change {
		fn(&t)
	}
	t.ID = strings.Join([]string{"shop", name, string(rune('0' + slot)), "g" + string(rune('0'+t.Generation))}, ".")
	return t
}

// with returns the state of an app with tasks, and with the slots that belong to them.
func with(a app.App, tasks ...Task) State {
	in := State{Wanted: a, Slots: map[SlotID]Slot{}, Tasks: tasks}
	for _, t := range tasks {
		slot := in.Slots[t.SlotID]
		slot.Generation, slot.Host = max(slot.Generation, t.Generation), t.Host
		in.Slots[t.SlotID] = slot
	}
	return in
}

// launches returns the planned launches as "service.slot.generation".
func launches(p Plan) (list []string) {
	for _, l := range p.Launch {
		list = append(list, l.Service+"."+string(rune('0'+l.Slot))+".g"+string(rune('0'+l.Generation)))
	}
	return list
}

// kills returns the planned kills as "task: reason".
func kills(p Plan) (list []string) {
	for _, k := range p.Kill {
		list = append(list, k.Task+": "+k.Reason)
	}
	return list
}

func oldSpec(t *Task)     { t.Spec = "old" }
func lost(t *Task)        { t.Phase, t.Up = Lost, false }
func notUp(t *Task)       { t.Up = false }
func killing(t *Task)     { t.Killing = true }
func generation2(t *Task) { t.Generation = 2 }

func TestNextPlans(t *testing.T) {
	two := wanted(service("db", 1), service("web", 2, "db:"+app.Healthy))
	three := wanted(service("web", 3))
	never := wanted(service("db", 1))
	never.Services["db"] = func(s app.Service) app.Service { s.NeverReplace = true; return s }(never.Services["db"])
	removing := func(in State) State { in.Removing = true; return in }
	tests := []struct {
		name    string
		in      State
		launch  []string
		kill    []string
		wait    map[SlotID]Wait
		removed bool
	}{
		{
			name: "dependencies start first", in: with(two), launch: []string{"db.1.g1"},
			wait: map[SlotID]Wait{
				{"web", 1}: {Kind: ForDependency, Reason: "waits for db to be healthy"},
				{"web", 2}: {Kind: ForDependency, Reason: "waits for db to be healthy"},
			},
		},
		{
			name: "a service starts when its dependencies are healthy", in: with(two, running(two, "db", 1)),
			launch: []string{"web.1.g1", "web.2.g1"}, wait: map[SlotID]Wait{},
		},
		{
			name: "nothing happens when all is up", in: with(two, running(two, "db", 1), running(two, "web", 1), running(two, "web", 2)),
			wait: map[SlotID]Wait{},
		},
		{
			name: "a restart does not wait for dependencies",
			in: func() State {
				in := with(two, running(two, "web", 1))
				in.Slots[SlotID{"db", 1}] = Slot{Generation: 1, Outcome: Failed, Spec: "other"}
				in.Slots[SlotID{"web", 2}] = Slot{Generation: 1, Outcome: Killed, Spec: Specs(two)["web"]}
				return in
			}(),
			launch: []string{"db.1.g2", "web.2.g2"}, wait: map[SlotID]Wait{},
		},
		{
			name: "tasks above the number of replicas are killed", in: with(wanted(service("web", 1)), running(three, "web", 1), running(three, "web", 2), running(three, "web", 3, lost)),
			kill: []string{"shop.web.2.g1: no longer wanted"}, wait: map[SlotID]Wait{},
		},
		{
			name: "a lost task is replaced", in: with(three, running(three, "web", 1), running(three, "web", 2, lost), running(three, "web", 3)),
			launch: []string{"web.2.g2"}, wait: map[SlotID]Wait{},
		},
		{
			name: "a lost task of a service that is never replaced is not", in: with(never, running(never, "db", 1, lost)),
			wait: map[SlotID]Wait{{"db", 1}: {Kind: ForHost, Reason: "h1 is unreachable, and the service is never replaced"}},
		},
		{
			name: "a lost task that comes back is killed", in: with(wanted(service("web", 1)), running(three, "web", 1), running(three, "web", 1, generation2)),
			kill: []string{"shop.web.1.g1: a newer generation has its slot"}, wait: map[SlotID]Wait{},
		},
		{
			name: "a lost task that comes back is killed even if its successor never ran",
			in: func() State {
				in := with(wanted(service("web", 1)), running(three, "web", 1))
				in.Slots[SlotID{"web", 1}] = Slot{Generation: 2, Outcome: Dropped, Spec: Specs(three)["web"]}
				return in
			}(),
			kill: []string{"shop.web.1.g1: a newer generation has its slot"},
			wait: map[SlotID]Wait{{"web", 1}: {Kind: ForStop, Reason: "an earlier task ends first"}},
		},
		{
			name: "a change replaces one instance at a time", in: with(three, running(three, "web", 1, oldSpec), running(three, "web", 2, oldSpec), running(three, "web", 3, oldSpec)),
			kill: []string{"shop.web.1.g1: its service has changed"},
			wait: map[SlotID]Wait{
				{"web", 2}: {Kind: ForTurn, Reason: "waits for its turn to be replaced"},
				{"web", 3}: {Kind: ForTurn, Reason: "waits for its turn to be replaced"},
			},
		},
		{
			name: "a change replaces an instance first that is not up", in: with(three, running(three, "web", 1, oldSpec), running(three, "web", 2, oldSpec, notUp), running(three, "web", 3)),
			kill: []string{"shop.web.2.g1: its service has changed"},
			wait: map[SlotID]Wait{{"web", 1}: {Kind: ForTurn, Reason: "waits for its turn to be replaced"}},
		},
		{
			name: "a change waits until the replaced instance is up", in: with(three, running(three, "web", 1, generation2, notUp), running(three, "web", 2, oldSpec), running(three, "web", 3, oldSpec)),
			wait: map[SlotID]Wait{
				{"web", 2}: {Kind: ForTurn, Reason: "waits for its turn to be replaced"},
				{"web", 3}: {Kind: ForTurn, Reason: "waits for its turn to be replaced"},
			},
		},
		{
			name: "a change waits for the dependencies", in: with(two, running(two, "db", 1, oldSpec, killing), running(two, "web", 1, oldSpec), running(two, "web", 2)),
			wait: map[SlotID]Wait{
				{"db", 1}:  {Kind: ForStop, Reason: "stopping"},
				{"web", 1}: {Kind: ForTurn, Reason: "waits for db to be healthy"},
			},
		},
		{
			name: "removing kills a service before its dependencies", in: removing(with(two, running(two, "db", 1), running(two, "web", 1), running(two, "web", 2, killing))),
			kill: []string{"shop.web.1.g1: the app is being removed"}, wait: map[SlotID]Wait{},
		},
		{
			name: "removing does not wait for a lost task", in: removing(with(two, running(two, "db", 1), running(two, "web", 1, lost))),
			kill: []string{"shop.db.1.g1: the app is being removed"}, wait: map[SlotID]Wait{},
		},
		{name: "the app is removed when no task is live", in: removing(with(two, running(two, "web", 1, lost))), wait: map[SlotID]Wait{}, removed: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Next(tt.in, epoch)
			if diff := cmp.Diff(tt.launch, launches(got)); diff != "" {
				t.Errorf("Next launches other tasks (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.kill, kills(got)); diff != "" {
				t.Errorf("Next kills other tasks (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.wait, got.Wait); diff != "" {
				t.Errorf("slots wait for something else (-want +got):\n%s", diff)
			}
			if got.Removed != tt.removed {
				t.Errorf("Next says that the app is removed: %v, want %v", got.Removed, !got.Removed)
			}
		})
	}
}

func TestRestartPolicyDecidesAfterTheEndOfATask(t *testing.T) {
	spec := Specs(wanted(service("job", 1)))["job"]
	tests := []struct {
		name    string
		restart app.Restart
		slot    Slot
		wait    Wait // zero: it is launched
	}{
		{"the first start needs no policy", app.Restart{Condition: app.RestartNone}, Slot{}, Wait{}},
		{"a job that finished is complete", app.Restart{Condition: app.RestartNone}, Slot{Generation: 1, Outcome: Finished}, Wait{Kind: Complete, Reason: "completed"}},
		{"a task that finished is complete with on-failure", app.Restart{Condition: app.RestartOnFailure}, Slot{Generation: 1, Outcome: Finished}, Wait{Kind: Complete, Reason: "completed"}},
		{"a task that finished restarts with any", app.Restart{Condition: app.RestartAny}, Slot{Generation: 1, Outcome: Finished, Failures: 1, Ended: epoch}, Wait{Kind: ForBackoff, Until: epoch.Add(time.Second)}},
		{"a job that failed is not restarted", app.Restart{Condition: app.RestartNone}, Slot{Generation: 1, Outcome: Failed, Reason: "exited with status 3"}, Wait{Kind: GaveUp, Reason: "exited with status 3"}},
		{"a task without attempts left is not restarted", app.Restart{Condition: app.RestartOnFailure, MaxAttempts: 2}, Slot{Generation: 3, Outcome: Failed, Failures: 3, Reason: "x"}, Wait{Kind: GaveUp, Reason: "x: no attempts left"}},
		{"a task with an attempt left is restarted", app.Restart{Condition: app.RestartOnFailure, MaxAttempts: 2}, Slot{Generation: 2, Outcome: Failed, Failures: 2, Ended: epoch.Add(-2 * time.Second)}, Wait{}},
		{"a task that failed waits for its back-off", app.Restart{Condition: app.RestartAny}, Slot{Generation: 4, Outcome: Failed, Failures: 4, Ended: epoch, Reason: "x"}, Wait{Kind: ForBackoff, Reason: "x", Until: epoch.Add(8 * time.Second)}},
		{"a task restarts after its back-off", app.Restart{Condition: app.RestartAny}, Slot{Generation: 4, Outcome: Failed, Failures: 4, Ended: epoch.Add(-8 * time.Second)}, Wait{}},
		{"a job that somebody killed is restarted", app.Restart{Condition: app.RestartNone}, Slot{Generation: 1, Outcome: Killed}, Wait{}},
		{"a job that failed is started when its service changes", app.Restart{Condition: app.RestartNone}, Slot{Generation: 1, Outcome: Failed, Spec: "old"}, Wait{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := service("job", 1)
			s.Restart = tt.restart
			if tt.slot.Spec == "" {
				tt.slot.Spec = spec
			}
			id := SlotID{"job", 1}
			got := Next(State{Wanted: wanted(s), Slots: map[SlotID]Slot{id: tt.slot}}, epoch)
			if diff := cmp.Diff(tt.wait, got.Wait[id]); diff != "" {
				t.Errorf("what the slot waits for (-want +got):\n%s", diff)
			}
			if launched := len(got.Launch) == 1; launched != (tt.wait == Wait{}) {
				t.Errorf("Next launches a task: %v, want %v", launched, !launched)
			}
			if diff := cmp.Diff(tt.wait.Until, got.Wake); diff != "" {
				t.Errorf("Next wants to be called again at another time (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBackoffDoublesUpToAMinute(t *testing.T) {
	var got []time.Duration
	for failures := range 9 {
		got = append(got, backoff(failures, app.Restart{})/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60}, got); diff != "" {
		t.Errorf("seconds of pause after 0, 1, 2, ... failures (-want +got):\n%s", diff)
	}
	if got := backoff(3, app.Restart{Delay: 90 * time.Second}); got != 90*time.Second {
		t.Errorf("the pause is %v, want the 90 s that the policy sets", got)
	}
}

func TestAfterCountsFailuresInARow(t *testing.T) {
	tests := []struct {
		name string
		end  End
		want int
	}{
		{"a failure soon counts", End{Phase: Failed, Ran: time.Second}, 3},
		{"success soon counts", End{Phase: Finished, Ran: time.Second}, 3},
		{"a failure after a stable time is the first", End{Phase: Failed, Ran: stable}, 1},
		{"a failure after the window of the policy is the first", End{Phase: Failed, Ran: time.Second, Restart: app.Restart{Window: time.Second}}, 1},
		{"a kill by the framework counts nothing", End{Phase: Killed, Ran: time.Second, Asked: true}, 0},
		{"a task that never ran counts nothing", End{Phase: Dropped}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (Slot{Failures: 2}).After(tt.end); got.Failures != tt.want {
				t.Errorf("%d failures in a row, want %d", got.Failures, tt.want)
			}
		})
	}
}

func TestSpecsChangeWithTheContainer(t *testing.T) {
	base := wanted(service("db", 1), service("web", 1, "db:"+app.Started))
	change := func(name string, fn func(*app.Service)) app.App {
		a := wanted(base.Services["db"], base.Services["web"])
		s := a.Services[name]
		fn(&s)
		a.Services[name] = s
		return a
	}
	bound := change("web", func(s *app.Service) {
		s.DependsOn = map[string]app.Dependency{"db": {Condition: app.Started, Restart: true}}
	})
	tests := []struct {
		name    string
		a, b    app.App
		changed []string
	}{
		{"replicas", base, change("web", func(s *app.Service) { s.Replicas = 9 }), nil},
		{"links", base, change("web", func(s *app.Service) { s.Links = []app.Link{{Service: "db"}} }), nil},
		{"endpoint mode", base, change("web", func(s *app.Service) { s.DNSRR = true }), nil},
		{"restart policy", base, change("web", func(s *app.Service) { s.Restart.MaxAttempts = 9 }), nil},
		{"image", base, change("db", func(s *app.Service) { s.Image = "x" }), []string{"db"}},
		{"host port", base, change("web", func(s *app.Service) { s.Ports = []app.Port{{Host: 80}} }), []string{"web"}},
		{"a dependency with restart", bound, func() app.App {
			a := wanted(bound.Services["db"], bound.Services["web"])
			s := a.Services["db"]
			s.Image = "x"
			a.Services["db"] = s
			return a
		}(), []string{"db", "web"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := Specs(tt.a), Specs(tt.b)
			var changed []string
			for _, name := range sorted(a) {
				if a[name] != b[name] {
					changed = append(changed, name)
				}
			}
			if diff := cmp.Diff(tt.changed, changed); diff != "" {
				t.Errorf("services whose digest changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGlobalServiceHasAnInstanceOnEachHost(t *testing.T) {
	a := wanted(app.Service{Name: "agent", Image: "agent", Global: true, Restart: app.Restart{Condition: app.RestartAny}})
	in := State{Wanted: a, Slots: map[SlotID]Slot{}, Present: map[string][]string{"agent": {"h2", "h1"}}}
	got := Next(in, epoch)
	want := []Launch{
		{SlotID{"agent", 1}, 1, Specs(a)["agent"], "h1"}, {SlotID{"agent", 2}, 1, Specs(a)["agent"], "h2"},
	}
	if diff := cmp.Diff(want, got.Launch); diff != "" {
		t.Errorf("Next launches other tasks (-want +got):\n%s", diff)
	}
	// h1 goes and h3 comes. h2 keeps its slot; h3 does not get the slot of h1 before that
	// is forgotten.
	in = with(a, running(a, "agent", 1, lost), running(a, "agent", 2, func(t *Task) { t.Host = "h2" }))
	in.Present = map[string][]string{"agent": {"h2", "h3"}}
	got = Next(in, epoch)
	want = []Launch{{SlotID{"agent", 3}, 1, Specs(a)["agent"], "h3"}}
	if diff := cmp.Diff(want, got.Launch); diff != "" {
		t.Errorf("Next launches other tasks (-want +got):\n%s", diff)
	}
	if len(got.Kill)+len(got.Forget) > 0 {
		t.Errorf("Next kills %v and forgets %v, want neither", got.Kill, got.Forget)
	}
}

func TestNewSlotStartsAfterTheGenerationFloor(t *testing.T) {
	in := with(wanted(service("web", 1)))
	in.GenerationFloor = 7
	if diff := cmp.Diff([]string{"web.1.g8"}, launches(Next(in, epoch))); diff != "" {
		t.Errorf("launches (-want +got):\n%s", diff)
	}
}
