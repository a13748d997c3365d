package docker_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"tombolo/cmd/docker"
	"tombolo/cmd/docker/dockertest"
	"tombolo/cmd/errortest"
)

func TestACommandThatDoesNotEndByItselfIsInterrupted(t *testing.T) {
	script := dockertest.Script(t, "#!/bin/sh\ntrap 'echo interrupted; exit 7' INT\necho ready > \"$0.ready\"\nwhile :; do sleep 0.01; done\n")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(script + ".ready"); err == nil {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := docker.Run(ctx, docker.Machine(), "build"); !errors.Is(err, context.Canceled) {
		t.Errorf("docker build ended with %v, want %v", err, context.Canceled)
	}
	out, err := docker.Command(ctx, docker.Machine(), "version").Output()
	if err == nil || len(out) > 0 {
		t.Errorf("docker version ran after its context had ended: it printed %q, error %v", out, err)
	}
}

func TestAnErrorCarriesAllThatDockerPrinted(t *testing.T) {
	dockertest.Script(t, "#!/bin/sh\necho pulling; echo no space >&2; exit 3\n")
	_, err := docker.Run(t.Context(), docker.Machine(), "pull", "web")
	errortest.Contains(t, err, "docker pull: exit status 3\npulling\nno space")
}
