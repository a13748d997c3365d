package framework

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	mesosresources "github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
	"tombolo/framework/store/storetest"
	"tombolo/linker/record"
)

// silent is a Master that takes every call.
type silent struct{}

func (silent) Run(context.Context, func(uint64, scheduler.Event)) error { return nil }
func (silent) Call(context.Context, uint64, *scheduler.Call) error      { return nil }
func (silent) SetFrameworkID(string)                                    {}

// BenchmarkEvent measures what one update of a task costs the framework's goroutine, with all
// instances running on hosts with ten instances each. Each update changes what is shown of its task.
func BenchmarkEvent(b *testing.B) {
	for _, instances := range []int{1000, 10_000, 50_000} {
		for _, apps := range []int{10, 1000, 10_000} {
			if instances/apps > app.MaxReplicas || instances < apps {
				continue
			}
			b.Run(fmt.Sprintf("%d instances in %d apps", instances, apps), func(b *testing.B) {
				f, tasks := running(b, instances, apps)
				for i := 0; b.Loop(); i++ {
					t := tasks[i%len(tasks)]
					state := mesos.TASK_RUNNING
					container := &mesos.ContainerStatus{ContainerID: &mesos.ContainerID{Value: fmt.Sprint(i)}}
					f.event(1, scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: mesos.TaskStatus{
						TaskID: mesos.TaskID{Value: t}, State: &state, ContainerStatus: container, AgentID: &mesos.AgentID{Value: f.model.tasks[t].Agent}, UUID: []byte("1"),
					}}})
					f.turn(b)
				}
			})
		}
	}
}

// BenchmarkCatalog measures what a linker's new catalog costs the framework's goroutine, in which the
// health of one container is another. The catalog is decoded by another goroutine, which is not measured.
func BenchmarkCatalog(b *testing.B) {
	for _, instances := range []int{1000, 10_000, 50_000} {
		for _, apps := range []int{10, 1000, 10_000} {
			if instances/apps > app.MaxReplicas || instances < apps {
				continue
			}
			b.Run(fmt.Sprintf("%d instances in %d apps", instances, apps), func(b *testing.B) {
				f, tasks := running(b, instances, apps)
				c := newLinkerConn("h0", Linker{}, linkerEvents{queue: f.queue, catalog: f.catalogChanged, changed: f.model.touchAll}, f.config.Log)
				f.linkers["h0"] = c
				catalogs := [2]*record.Snapshot{catalogOf(f), catalogOf(f)} // two, because each catalog is decoded anew
				show := func(s *record.Snapshot) {
					c.bring(s)
					for _, fn := range f.queue.Take() {
						fn()
					}
					f.turn(b)
				}
				show(catalogs[0])
				show(catalogs[1])
				for i := 0; b.Loop(); i++ {
					s := catalogs[i%2]
					s.Endpoints[tasks[i%len(tasks)]].Health = []record.Health{record.HealthHealthy, record.HealthUnhealthy}[i/len(tasks)%2]
					show(s)
				}
			})
		}
	}
}

// catalogOf returns a catalog with the hosts and the containers of all tasks.
func catalogOf(f *Framework) *record.Snapshot {
	s := &record.Snapshot{Hosts: map[string]*record.Host{}, Endpoints: map[string]*record.Endpoint{}}
	for name := range f.model.hosts {
		s.Hosts[name] = &record.Host{Name: name, Underlay: netip.MustParseAddr("198.18.0.1")}
	}
	for id, t := range f.model.tasks {
		s.Endpoints[id] = &record.Endpoint{
			ID: id, Host: t.Host, Container: "container of " + id, ContainerName: id, Task: id, App: t.App, Service: t.Service, Slot: t.Slot, Generation: t.Generation,
			Running: true, Health: record.HealthHealthy, Addr4: netip.MustParseAddr("100.64.0.2"), Networks: map[string][]string{t.App + "_default": nil},
		}
	}
	return s
}

// turn makes one turn of the framework's loop, and returns the calls to the master.
func (f *Framework) turn(b *testing.B) []numbered {
	f.decide(time.Now())
	if err := f.config.Store.Commit(&f.model.batch); err != nil {
		b.Fatal(err)
	}
	f.board.publish(f.reporter.snapshot(f.board.latest(), time.Now()))
	f.out.flush()
	return f.out.calls.queue.Take()
}

// running returns a framework whose instances all run, and the IDs of their tasks.
func running(b *testing.B, instances, apps int) (*Framework, []string) {
	f := New(Config{Master: silent{}, Store: store.New(storetest.NewMemory()), Log: slog.New(slog.DiscardHandler)})
	f.event(1, scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{FrameworkID: &mesos.FrameworkID{Value: "F"}}})
	var tasks []string
	began := time.Now().Add(-time.Hour)
	for n := range apps {
		name := fmt.Sprintf("app%d", n)
		d := f.model.putApp(app.App{Name: name, Services: map[string]app.Service{"web": {
			Name: "web", Image: "web", Replicas: instances / apps, Restart: app.Restart{Condition: app.RestartAny},
		}}}, began)
		for slot := 1; slot <= instances/apps; slot++ {
			host := fmt.Sprintf("h%d", len(tasks)/10)
			f.model.host(host).agent = "agent of " + host
			t := f.model.launch(launch{name, deploy.Launch{
				SlotID: deploy.SlotID{Service: "web", Slot: slot}, Generation: 1, Spec: d.specs["web"],
			}}, host, began)
			f.model.advance(t, deploy.Running, t.Agent, began)
			tasks = append(tasks, t.ID)
		}
	}
	f.turn(b)
	return f, tasks
}

// BenchmarkLaunch measures what it costs the framework's goroutine to launch apps on hosts that
// offer room for twenty instances each, until all instances run. Each update of a task is an event
// of its own, as if the framework were never busy. It reports the memory that is held at the end,
// that of the store in memory included.
func BenchmarkLaunch(b *testing.B) {
	for _, instances := range []int{1000, 10_000, 50_000} {
		for _, each := range []int{10, 100, 1000} { // instances in an app
			b.Run(fmt.Sprintf("%d instances in apps of %d", instances, each), func(b *testing.B) {
				for b.Loop() {
					f := launchAll(b, instances, each)
					b.StopTimer()
					var memory runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&memory)
					b.ReportMetric(float64(memory.HeapAlloc), "held-bytes")
					runtime.KeepAlive(f)
					b.StartTimer()
				}
			})
		}
	}
}

func launchAll(b *testing.B, instances, each int) *Framework {
	f := New(Config{Master: silent{}, Store: store.New(storetest.NewMemory()), Log: slog.New(slog.DiscardHandler)})
	f.event(1, scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{FrameworkID: &mesos.FrameworkID{Value: "F"}}})
	for n := range instances / each {
		name := fmt.Sprintf("app%d", n)
		f.model.putApp(app.App{Name: name, Services: map[string]app.Service{"web": {
			Name: "web", Image: "web", Replicas: each, Restart: app.Restart{Condition: app.RestartAny},
		}}}, time.Now())
	}
	f.turn(b)
	for n := range instances / 10 {
		host := fmt.Sprintf("h%d", n)
		f.event(1, scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: []mesos.Offer{{
			ID: mesos.OfferID{Value: "offer of " + host}, AgentID: mesos.AgentID{Value: "agent of " + host}, Hostname: host,
			Resources: []mesos.Resource{mesosresources.NewCPUs(20 * 0.1).Resource, mesosresources.NewMemory(20 * 128).Resource},
		}}}})
	}
	calls := f.turn(b)
	launched := 0
	for _, c := range calls {
		for _, op := range c.GetAccept().GetOperations() {
			for _, t := range op.GetLaunch().GetTaskInfos() {
				launched++
				state := mesos.TASK_RUNNING
				f.event(1, scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: mesos.TaskStatus{
					TaskID: t.TaskID, State: &state, AgentID: &t.AgentID, UUID: []byte("1"),
				}}})
				f.turn(b)
			}
		}
	}
	runs := 0
	for _, t := range f.model.tasks {
		if t.phase() == deploy.Running {
			runs++
		}
	}
	if launched != instances || runs != instances {
		b.Fatalf("%d instances were launched and %d run, want %d", launched, runs, instances)
	}
	return f
}
