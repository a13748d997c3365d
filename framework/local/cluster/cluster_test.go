package cluster_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
	"go.uber.org/goleak"

	"tombolo/framework/local/agent"
	"tombolo/framework/local/agent/agenttest"
	"tombolo/framework/local/cluster"
	"tombolo/framework/local/master"
	"tombolo/framework/mesos"
	"tombolo/framework/mesos/mesostest"
)

// bed is a cluster on Docker Engines without containers, with one scheduler that
// acknowledges all updates. It lives in a synctest bubble.
type bed struct {
	t            *testing.T
	dir          string
	dockers      []*agenttest.Docker
	client       *mesos.Client
	subscription atomic.Uint64 // the number of the last one
	stop         func()

	mu     sync.Mutex
	offers map[string]lib.Offer // the newest of each host
	states map[string][]string  // the updates of each task since the last expect
}

// start starts the cluster and a framework. id is the framework's ID, empty for a new
// framework.
func (s *bed) start(id string) {
	s.t.Helper()
	config := cluster.Config{Master: master.Config{Dir: filepath.Join(s.dir, "master")}}
	for i, d := range s.dockers {
		host := "h" + string(rune('1'+i))
		config.Agents = append(config.Agents, agent.Config{
			Hostname: host, WorkDir: filepath.Join(s.dir, host), IP: "198.18.0.11", Docker: d, CPUs: 2, MemBytes: 2 << 30,
		})
	}
	c, err := cluster.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	server := mesostest.Serve(c.Handler())
	s.client = mesos.New(mesos.Config{Masters: []string{"master:5050"}, HTTP: server.Client(), Framework: frameworkInfo(id)})
	s.offers = map[string]lib.Offer{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			s.t.Errorf("the cluster's Run returned %v, want nil", err)
		}
	})
	client := s.client
	running.Go(func() {
		if err := client.Run(ctx, func(n uint64, e scheduler.Event) { s.subscription.Store(n); s.handle(ctx, client, e) }); err != nil && !errors.Is(err, mesos.ErrRemoved) {
			s.t.Errorf("the client's Run returned %v, want nil", err)
		}
	})
	s.stop = func() { cancel(); running.Wait(); server.Close(); synctest.Wait() }
}

func frameworkInfo(id string) lib.FrameworkInfo {
	yes, timeout := true, 3600.0
	info := lib.FrameworkInfo{
		User: "root", Name: "test", Roles: []string{"web"}, Checkpoint: &yes, FailoverTimeout: &timeout,
		Capabilities: []lib.FrameworkInfo_Capability{
			{Type: lib.FrameworkInfo_Capability_MULTI_ROLE}, {Type: lib.FrameworkInfo_Capability_PARTITION_AWARE},
		},
	}
	if id != "" {
		info.ID = &lib.FrameworkID{Value: id}
	}
	return info
}

func (s *bed) handle(ctx context.Context, client *mesos.Client, e scheduler.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range e.GetOffers().GetOffers() {
		s.offers[o.Hostname] = o
	}
	if e.Update != nil {
		status := e.Update.Status
		s.states[status.TaskID.Value] = append(s.states[status.TaskID.Value], strings.TrimPrefix(status.GetState().String(), "TASK_"))
		go func() {
			_ = client.Call(ctx, s.subscription.Load(), calls.Acknowledge(status.AgentID.Value, status.TaskID.Value, status.UUID))
		}() // an error does not matter: the update comes again
	}
}

func (s *bed) launch(id, host string) {
	s.t.Helper()
	s.mu.Lock()
	o, no := s.offers[host], false
	s.mu.Unlock()
	task := lib.TaskInfo{
		Name: id, TaskID: lib.TaskID{Value: id}, AgentID: o.AgentID,
		Resources: []lib.Resource{scalar("cpus", 0.5), scalar("mem", 64)},
		Command:   &lib.CommandInfo{Shell: &no},
		Container: &lib.ContainerInfo{Type: lib.ContainerInfo_DOCKER.Enum(), Docker: &lib.ContainerInfo_DockerInfo{Image: "x"}},
	}
	if err := s.client.Call(context.Background(), s.subscription.Load(), calls.Accept(calls.OfferOperations{calls.OpLaunch(task)}.WithOffers([]lib.OfferID{o.ID}...)).With(calls.RefuseSeconds(0))); err != nil {
		s.t.Fatal(err)
	}
	s.wait(5 * time.Second)
}

func scalar(name string, value float64) lib.Resource {
	return lib.Resource{Name: name, Type: lib.SCALAR.Enum(), Scalar: &lib.Value_Scalar{Value: value}}
}

func (s *bed) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *bed) expect(task string, want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.states[task], want) {
		s.t.Errorf("task %s had the updates %v, want %v", task, s.states[task], want)
	}
	s.states[task] = nil
}

// TestCluster launches tasks on two hosts, restarts the cluster, loses a host and gets it
// back, kills a task, and removes the framework.
func TestCluster(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &bed{
			t: t, dir: dir, dockers: []*agenttest.Docker{{}, {}}, states: map[string][]string{},
		}
		s.start("")
		s.wait(5 * time.Second)
		s.launch("t1", "h1")
		s.launch("t2", "h2")
		s.expect("t1", "STARTING", "RUNNING")
		s.expect("t2", "STARTING", "RUNNING")

		id := s.client.FrameworkID()
		s.stop()
		if n := len(s.dockers[0].Running()); n != 1 {
			t.Errorf("%d containers run on h1 after the cluster stopped, want 1", n)
		}
		s.start(id)
		s.wait(10 * time.Second)
		if err := s.client.Call(context.Background(), s.subscription.Load(), calls.Reconcile()); err != nil {
			t.Fatal(err)
		}
		s.wait(time.Second)
		s.expect("t1", "RUNNING")
		s.expect("t2", "RUNNING")

		s.dockers[1].Down()
		s.wait(60 * time.Second)
		s.expect("t2")
		s.wait(30 * time.Second)
		s.expect("t2", "UNREACHABLE")
		s.dockers[1].Up()
		s.wait(30 * time.Second)
		s.expect("t2", "RUNNING")

		if err := s.client.Call(context.Background(), s.subscription.Load(), calls.Kill("t1", "")); err != nil {
			t.Fatal(err)
		}
		s.wait(30 * time.Second)
		s.expect("t1", "KILLED")
		if err := s.client.Call(context.Background(), s.subscription.Load(), &scheduler.Call{Type: scheduler.Call_TEARDOWN}); err != nil {
			t.Fatal(err)
		}
		s.wait(30 * time.Second)
		if n := len(s.dockers[1].Running()); n != 0 {
			t.Errorf("%d containers run on h2 after the framework was removed, want none", n)
		}
		s.stop()
	})
}

func TestNewRefusesBadConfigs(t *testing.T) {
	for name, config := range map[string]cluster.Config{
		"a bad address": {Master: master.Config{MasterAddr: "nowhere"}},
		"the same hostname twice": {Agents: []agent.Config{
			{Hostname: "h", WorkDir: "/a", Docker: &agenttest.Docker{}}, {Hostname: "h", WorkDir: "/b", Docker: &agenttest.Docker{}},
		}},
	} {
		if _, err := cluster.New(config); err == nil {
			t.Errorf("New accepted a config with %s, want an error", name)
		}
	}
}
