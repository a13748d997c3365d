package framework_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombolo/framework"
	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/local/agent"
	"tombolo/framework/local/agent/agenttest"
	"tombolo/framework/local/cluster"
	"tombolo/framework/local/master"
	mesosclient "tombolo/framework/mesos"
	"tombolo/framework/store"
)

// embedded is an embedded cluster with Docker Engines in memory, over real HTTP.
type embedded struct {
	engines map[string]*agenttest.Docker
	url     string
	stop    func()
}

func startEmbedded(t *testing.T, hosts ...string) *embedded {
	t.Helper()
	dir := t.TempDir()
	e := &embedded{engines: map[string]*agenttest.Docker{}}
	config := cluster.Config{Master: master.Config{Dir: filepath.Join(dir, "master"), AgentTimeout: time.Second}}
	for i, name := range hosts {
		e.engines[name] = &agenttest.Docker{}
		config.Agents = append(config.Agents, agent.Config{
			Hostname: name, WorkDir: filepath.Join(dir, name), IP: "127.0.0.1", Port: 5051 + i,
			CPUs: 2, MemBytes: 2 << 30, Docker: e.engines[name],
		})
	}
	c, err := cluster.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	e.url = server.URL
	e.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the cluster ended with %v, want nil", err)
		}
		server.CloseClientConnections()
		server.Close()
	}
	return e
}

func (e *embedded) framework(t *testing.T, path string) *bed {
	t.Helper()
	backend, err := store.OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	var f *framework.Framework
	client := mesosclient.New(mesosclient.Config{
		Masters:      []string{e.url},
		Framework:    framework.Info("", ""),
		Disconnected: func(err error) { f.Disconnected(err) },
	})
	f = framework.New(framework.Config{Master: client, Store: store.New(backend), Log: testLog()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return &bed{t: t, f: f, stop: func() error {
		cancel()
		return errors.Join(<-done, backend.Close())
	}}
}

func (e *embedded) containers() (all []string) {
	for _, engine := range e.engines {
		all = append(all, engine.Names()...)
	}
	return all
}

func TestAnAppsLifeOnAnEmbeddedCluster(t *testing.T) {
	defer goleak.VerifyNone(t)
	e := startEmbedded(t, "h1", "h2", "h3")
	defer e.stop()
	path := filepath.Join(t.TempDir(), "framework.db")
	b := e.framework(t, path)
	if _, err := b.f.PutApp(t.Context(), shop()); err != nil {
		t.Fatal(err)
	}
	s := b.awaitUp("shop")
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	// A restarted framework finds everything as it was.
	b = e.framework(t, path)
	defer func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	}()
	b.await("shop", "found again", 10*time.Second, func(s api.Status) bool { return s.Up })
	for i, instance := range b.status("shop").Instances {
		if instance.Task != s.Instances[i].Task {
			t.Errorf("after a restart of the framework the instance is %+v, want the task of %+v", instance, s.Instances[i])
		}
	}
	if _, err := b.f.PutApp(t.Context(), edit(shop(), "web", func(s *app.Service) { s.Image = "web:2" })); err != nil {
		t.Fatal(err)
	}
	b.awaitUp("shop")
	if err := b.f.DeleteApp(t.Context(), "shop", false); err != nil {
		t.Fatal(err)
	}
	b.awaitGone("shop")
	for range 100 {
		if len(e.containers()) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("containers are left over: %s", strings.Join(e.containers(), ", "))
}
