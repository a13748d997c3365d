package main

import (
	"archive/tar"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"tombolo/cmd/lab"
	"tombolo/linker/record"
	"tombolo/test/cli"
)

const (
	bedHosts = 3
	image    = "tombolo-bench"

	// netTombolo and netSwarm are the names of Docker networks.
	netTombolo = "tombolo"
	netSwarm   = "bench-swarm"
)

// bed is the lab. Every host has this program as an image, and its Engine is in a Swarm.
type bed struct {
	self    string // path of this program
	lab     *lab.Lab
	engines []engine
}

// newBed makes the lab. close removes it.
func newBed(ctx context.Context, binary string) (*bed, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := checkStatic(self); err != nil {
		return nil, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, err
	}
	l, err := lab.Up(ctx, lab.Config{Hosts: bedHosts, Binary: binary, Owner: os.Getpid(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	b := &bed{self: self, lab: l}
	for _, h := range l.Hosts {
		b.engines = append(b.engines, engine{h})
	}
	if err := b.furnish(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bed) close() error { return lab.Down("") }

func (b *bed) furnish(ctx context.Context) error {
	for _, e := range b.engines {
		if err := e.importSelf(ctx, b.self); err != nil {
			return err
		}
	}
	return b.startSwarm(ctx)
}

// startSwarm makes a Swarm of the Engines and gives it an attachable overlay network.
func (b *bed) startSwarm(ctx context.Context) error {
	first := b.engines[0]
	addr := first.host.Underlay.String()
	if _, err := first.docker(ctx, "swarm", "init", "--advertise-addr", addr, "--default-addr-pool", "10.99.0.0/16"); err != nil {
		return err
	}
	token, err := first.docker(ctx, "swarm", "join-token", "-q", "worker")
	if err != nil {
		return err
	}
	for _, e := range b.engines[1:] {
		if _, err := e.docker(ctx, "swarm", "join", "--advertise-addr", e.host.Underlay.String(), "--token", token, addr+":2377"); err != nil {
			return err
		}
	}
	_, err = first.docker(ctx, "network", "create", "-d", "overlay", "--attachable", netSwarm)
	return err
}

// engine is the Docker Engine of a host.
type engine struct{ host lab.Host }

// docker runs a docker command with the host's Engine and returns its standard output.
func (e engine) docker(ctx context.Context, args ...string) (string, error) {
	return output(e.command(ctx, args...))
}

func (e engine) command(ctx context.Context, args ...string) *exec.Cmd {
	return cli.Docker(ctx, e.host.DockerHost(), args...)
}

func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return strings.TrimSpace(string(out)), err
}

// checkStatic returns an error for a program that needs a dynamic linker, because the bench's image
// has none.
func checkStatic(program string) error {
	file, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return errors.New("the bench runs in containers that have no other files: build it with CGO_ENABLED=0, so that it is linked statically")
	}
	return nil
}

// importSelf makes an image whose only file is this program.
func (e engine) importSelf(ctx context.Context, self string) error {
	program, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		t := tar.NewWriter(w)
		err := t.WriteHeader(&tar.Header{Name: "bench", Mode: 0o755, Size: int64(len(program))})
		if err == nil {
			_, err = t.Write(program)
		}
		w.CloseWithError(errors.Join(err, t.Close()))
	}()
	cmd := e.command(ctx, "import", "-c", `ENTRYPOINT ["/bench"]`, "-", image)
	cmd.Stdin = r
	_, err = output(cmd)
	return err
}

// networkFlags returns the docker run flags that put a container of the app bench on a network. On
// tombolo, these are the resolv.conf and the option against Docker's own resolver that the
// framework gives (framework/taskinfo.go). On Swarm's overlay, names are not forwarded, so that a
// negative answer is as fast as a positive one.
func networkFlags(network, service string) []string {
	flags := []string{"--network", network, "--name", service}
	switch network {
	case netTombolo:
		return append(flags, "--label", record.LabelApp+"=bench", "--label", record.LabelService+"="+service,
			"--dns-opt", "ndots:names-are-the-linker's", "--volume", "/var/lib/tombolo/resolv.conf:/etc/resolv.conf:ro")
	case netSwarm:
		return append(flags, "--dns", "127.0.0.1")
	}
	return flags
}

// run starts a container of this program in the background.
func (e engine) run(ctx context.Context, network, service string, args ...string) error {
	argv := append([]string{"run", "-d"}, networkFlags(network, service)...)
	_, err := e.docker(ctx, append(append(argv, image), args...)...)
	return err
}

// address returns the address of a container on a network.
func (e engine) address(ctx context.Context, network, service string) (string, error) {
	format := fmt.Sprintf("{{(index .NetworkSettings.Networks %q).IPAddress}}", network)
	return e.docker(ctx, "inspect", "-f", format, service)
}

func (e engine) remove(ctx context.Context, service string) error {
	_, err := e.docker(ctx, "rm", "-f", service)
	return err
}
