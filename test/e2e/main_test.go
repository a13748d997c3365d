package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/test/cli"
)

// All tests share one lab and run one binary.
var (
	testLab *lab.Lab
	tombolo cli.CLI
)

// hosts is the number of hosts in the lab.
const hosts = 3

// image and checkedImage are the probe's image without and with a health check (see probe check).
// publish replaces the names on this machine by those that the hosts pull.
var (
	image        = "tombolo-e2e/probe:latest"
	checkedImage = "tombolo-e2e/checked:latest"
)

// probe is the path of the probe's binary on this machine.
var probe string

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tombolo-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := lab.Clear(); err != nil { // it fails if a lab is up that is not ours
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() {
		if err := lab.Down(""); err != nil {
			fmt.Fprintln(os.Stderr, "lab down:", err)
		}
	}()
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

func prepare(dir string) error {
	tombolo.Binary = os.Getenv("TOMBOLO_BINARY")
	if tombolo.Binary == "" {
		tombolo.Binary = filepath.Join(dir, "tombolo")
		if err := goBuild(tombolo.Binary, "tombolo/cmd/tombolo"); err != nil {
			return err
		}
	}
	probe = filepath.Join(dir, "probe")
	if err := goBuild(probe, "tombolo/test/e2e/probe"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	config := lab.Config{Hosts: hosts, Binary: tombolo.Binary, Owner: os.Getpid(), Log: slog.New(slog.DiscardHandler)}
	var err error
	if file := os.Getenv("TOMBOLO_ENGINE_CONFIG"); file != "" { // make e2e ENGINE_CONFIG=…
		if config.Engine, err = lab.LoadEngineSettings(file); err != nil {
			return err
		}
	}
	if testLab, err = lab.Up(ctx, config); err != nil {
		return err
	}
	return publishImages(ctx, dir)
}

func goBuild(out, pkg string) error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", out, pkg)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, b)
	}
	return nil
}

// publishImages builds the images with this machine's Docker Engine and pushes them to the lab's
// registry.
func publishImages(ctx context.Context, dir string) error {
	const dockerfile = "FROM scratch\nCOPY probe /probe\nENTRYPOINT [\"/probe\"]\n"
	const healthcheck = "HEALTHCHECK --interval=500ms --timeout=5s --retries=1 CMD [\"/probe\", \"check\"]\n"
	if err := publish(ctx, dir, &image, dockerfile); err != nil {
		return err
	}
	return publish(ctx, dir, &checkedImage, dockerfile+healthcheck)
}

// publish builds and pushes the image, and sets name to its name in the registry.
func publish(ctx context.Context, dir string, name *string, dockerfile string) error {
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		return err
	}
	tag := *name
	push := testLab.RegistryPush + "/" + tag
	*name = fmt.Sprintf("%s:%d/%s", lab.Gateway, lab.RegistryPort, tag)
	for _, args := range [][]string{{"build", "-q", "-t", tag, dir}, {"tag", tag, push}, {"push", "-q", push}, {"rmi", push}} {
		if b, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker %v: %w: %s", args, err, b)
		}
	}
	for _, h := range testLab.Hosts {
		if out, err := docker(ctx, h, "pull", "-q", *name); err != nil {
			return fmt.Errorf("pull on %s: %w: %s", h.Name, err, out)
		}
	}
	return nil
}
