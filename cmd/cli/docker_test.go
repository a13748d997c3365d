package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A docker that does not end by itself does not keep tombolo from ending.
func TestDockerIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\ntrap 'echo interrupted; exit 7' INT\necho ready > \"$0.ready\"\nwhile :; do sleep 0.01; done\n"
	writeFile(t, filepath.Join(dir, "docker"), script)
	if err := os.Chmod(filepath.Join(dir, "docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(dir, "docker.ready")); err == nil {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	b := imageBuilder{}
	if _, err := b.docker(ctx, "", "build"); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	out, err := machineCommand(ctx, "version").Output()
	if err == nil || len(out) > 0 {
		t.Errorf("started after the end: %q, %v", out, err)
	}
}
