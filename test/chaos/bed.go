package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"tombolo/cmd/lab"
	"tombolo/linker/record"
	"tombolo/test/chaos/flow"
	"tombolo/test/cli"
)

// Each host runs a server and a client, which are called so.
const (
	serverRole = flow.Service
	clientRole = "client"
)

var roles = []string{serverRole, clientRole}

// image is the name of the image with nothing but the program traffic.
const image = "tombolo-chaos/traffic"

// bed is a lab with traffic.
type bed struct {
	lab *lab.Lab
	dir string // has the program traffic; the clients write their state into its folder out
}

func (b bed) out() string { return filepath.Join(b.dir, "out") }

// flows returns the state of all flows.
func (b bed) flows() ([]flow.State, error) { return flow.Read(b.out()) }

// start makes the traffic in a lab.
func (b bed) start(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(b.dir, "traffic"), "tombolo/test/chaos/traffic")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build traffic: %w: %s", err, out)
	}
	if err := os.Mkdir(b.out(), 0o755); err != nil {
		return err
	}
	files, err := imageFiles(filepath.Join(b.dir, "traffic"))
	if err != nil {
		return err
	}
	var servers []string
	for n, h := range b.lab.Hosts {
		if err := docker(ctx, h, bytes.NewReader(files), "import", "--change", `ENTRYPOINT ["/traffic"]`, "-", image); err != nil {
			return err
		}
		if err := b.run(ctx, h, serverRole, n+1, "serve", h.Name); err != nil {
			return err
		}
		servers = append(servers, fmt.Sprintf("%d.%s", n+1, serverRole))
	}
	for n, h := range b.lab.Hosts {
		if err := b.run(ctx, h, clientRole, n+1, append([]string{"drive", h.Name, "/out/" + h.Name + ".json"}, servers...)...); err != nil {
			return err
		}
	}
	return nil
}

// run starts a container of one app, as an instance of the service role.
func (b bed) run(ctx context.Context, h lab.Host, role string, slot int, command ...string) error {
	args := []string{
		"run", "-d", "--name", role, "--net", "tombolo", "-v", "/var/lib/tombolo/resolv.conf:/etc/resolv.conf:ro", "-v", b.out() + ":/out",
		"--label", record.LabelApp + "=chaos", "--label", record.LabelService + "=" + role, "--label", record.LabelSlot + "=" + fmt.Sprint(slot),
		"--label", record.LabelNetworks + `={"chaos_default":null}`, image,
	}
	return docker(ctx, h, nil, append(args, command...)...)
}

func docker(ctx context.Context, h lab.Host, input io.Reader, args ...string) error {
	cmd := cli.Docker(ctx, h.DockerHost(), args...)
	cmd.Stdin = input
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("docker %s on %s: %w: %s", args[0], h.Name, err, out)
	}
	return nil
}

// imageFiles returns an archive with the program and the folders that containers need.
func imageFiles(program string) ([]byte, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "traffic", Mode: 0o755, Size: int64(len(text))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}
