package docker_test

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"

	"tombolo/linker/docker"
	"tombolo/linker/docker/dockertest"
)

func TestStateSaysWhatKeepsAContainerFromWork(t *testing.T) {
	failed := []dockertest.Check{{ExitCode: 0, Output: "fine"}, {ExitCode: 3, Output: " no\tresponse\r\n\x1b[31mred\x00\n"}}
	recovered := []dockertest.Check{failed[1], failed[0]}
	for _, c := range []struct {
		name      string
		container dockertest.Container
		want      docker.State
	}{
		{"it runs", dockertest.Container{State: "running", EndpointID: "e"}, docker.State{Status: "running", Attached: true}},
		{"it is paused", dockertest.Container{State: "paused", EndpointID: "e"}, docker.State{Status: "paused", Attached: true}},
		{"it is not on the network", dockertest.Container{State: "running"}, docker.State{Status: "running"}},
		{
			"its check has failed, and printed what could change a terminal",
			dockertest.Container{State: "running", EndpointID: "e", Health: "unhealthy", Checks: failed},
			docker.State{Status: "running", Attached: true, Failed: true, Exit: 3, Output: "no response [31mred"},
		},
		{
			"its check has failed before, but not last",
			dockertest.Container{State: "running", EndpointID: "e", Health: "healthy", Checks: recovered},
			docker.State{Status: "running", Attached: true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatched(t)
			if err := w.fake.Start(); err != nil {
				t.Fatal(err)
			}
			w.run(t)
			c.container.ID = "c1"
			w.fake.Put(c.container)
			got, err := w.State(t.Context(), "c1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("State (-want +got):\n%s", diff)
			}
			if _, err := w.State(t.Context(), "c2"); !errdefs.IsNotFound(err) {
				t.Errorf("State of a container that does not exist returned %v, want one of errdefs.IsNotFound", err)
			}
		})
	}
}

func TestTheEngineKnowsItsVolumesAndItsVersion(t *testing.T) {
	w := newWatched(t)
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
	w.run(t)
	for name, want := range map[string]bool{dockertest.Volume: true, "other": false} {
		if got, err := w.VolumeExists(t.Context(), name); err != nil || got != want {
			t.Errorf("VolumeExists(%q) returned %v, %v; want %v", name, got, err, want)
		}
	}
	if v, err := w.APIVersion(t.Context()); err != nil || v != "1.41" {
		t.Errorf("APIVersion returned %q, %v; want 1.41", v, err)
	}
	w.fake.Stop()
	if _, err := w.VolumeExists(t.Context(), "other"); err == nil || !strings.Contains(err.Error(), "inspect volume other") {
		t.Errorf("without an Engine, VolumeExists returned the error %v, want one that names the volume", err)
	}
	if err := w.fake.Start(); err != nil {
		t.Fatal(err)
	}
}
