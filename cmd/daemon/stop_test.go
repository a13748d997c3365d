package daemon

import (
	"context"
	"os"
	"testing"
	"time"

	"tombolo/cmd/errortest"
	"tombolo/cmd/rundir"
	"tombolo/framework/api"
)

// fakeCluster is a framework that shows one snapshot.
type fakeCluster struct {
	api.Cluster
	snapshot api.Snapshot
}

func (f *fakeCluster) Snapshot() (*api.Snapshot, <-chan struct{}) { return &f.snapshot, nil }

func TestADaemonWithAppsIsNotIdle(t *testing.T) {
	run := rundir.Dir(t.TempDir())
	f := &fakeCluster{}
	serving, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(serving, run.API(), api.NewHandler(api.Config{Cluster: f})) }()
	t.Cleanup(func() {
		stop()
		<-served
	})
	for _, err := os.Stat(run.API()); err != nil; _, err = os.Stat(run.API()) {
		time.Sleep(time.Millisecond)
	}
	if err := idle(t.Context(), run); err != nil {
		t.Errorf("a daemon without apps is not idle: %v", err)
	}
	f.snapshot.Apps = api.AppsOf(api.App{Status: api.Status{App: "shop"}})
	errortest.Contains(t, idle(t.Context(), run), "needed by shop")
}
