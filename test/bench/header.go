package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// printHeader prints the machine and the versions that the figures belong to.
func printHeader(ctx context.Context, out io.Writer, b *bed) error {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	engine, err := b.engines[0].docker(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return err
	}
	version, err := output(exec.CommandContext(ctx, b.lab.Binary, "version"))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %d cores, Linux %s, Docker %s, %s\n", time.Now().UTC().Format(time.DateOnly),
		runtime.NumCPU(), strings.TrimSpace(string(kernel)), engine, strings.ReplaceAll(version, "\n", ", "))
	return nil
}
