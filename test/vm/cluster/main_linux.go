// Command cluster shows that Tombolo works on real machines (`make vm`). It boots virtual machines
// with Debian, systemd, a kernel of their own and cgroup v2, installs Tombolo with
// packaging/install.sh as the Vagrantfile does, and then uses, stops and reboots the machines. It
// prints everything that it observes, and its exit code is 0 only if it observed all that it
// should. Without KVM the machines are emulated, which is slow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() { os.Exit(run()) }

func run() int {
	runtime.LockOSThread() // the machines end with the thread that starts them
	binary := flag.String("binary", "bin/tombolo", "the tombolo binary")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bed{binary: *binary, began: time.Now()}
	if err := b.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\nvm: %v\n", err)
		return 1
	}
	fmt.Printf("\nEverything works as it should. It took %s.\n", time.Since(b.began).Round(time.Second))
	return 0
}

// bed has the state that the steps share: three machines of a cluster, and a single machine.
type bed struct {
	binary  string
	began   time.Time
	dir     string // for the machines' disks and the files to copy onto them
	image   string // folder that image.sh made
	cluster []*machine
	alone   *machine
}

// patience limits each step. A machine on a busy emulator takes a minute to boot.
const patience = 10 * time.Minute

var names = []string{"control", "agent1", "agent2", "alone"}

func (b *bed) run(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "tombolo-vm"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer removeWire()
	ctx, stop := context.WithCancel(ctx)
	defer b.awaitEnd()
	defer stop() // this ends the machines
	for i, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"Three machines with Debian", func(step context.Context) error { return b.bootCluster(ctx, step) }},
		{"packaging/install.sh linker on each", b.install},
		{"Containers reach each other by name across machines", b.useNames},
		{"SIGSTOP of a linker and its supervisor: systemd starts another", b.stopLinker},
		{"Connections survive a restart of systemd-networkd, and names one of Docker", b.restartOthers},
		{"A machine reboots: its linker starts before Docker", b.rebootAgent},
		{"A single machine: packaging/install.sh daemon, up, reboot", func(step context.Context) error { return b.bootAlone(ctx, step) }},
	} {
		fmt.Printf("\n== %d. %s (%s)\n", i+1, step.title, time.Since(b.began).Round(time.Second))
		ctx, cancel := context.WithTimeout(ctx, patience)
		err := step.run(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	return nil
}

// awaitEnd waits until all machines have ended.
func (b *bed) awaitEnd() {
	for _, m := range append(b.cluster, b.alone) {
		if m != nil {
			<-m.ended
		}
	}
}

// bootCluster boots machines, which run until ctx ends. step is the context of this step.
func (b *bed) bootCluster(ctx, step context.Context) error {
	if err := b.prepare(step); err != nil {
		return err
	}
	for i, name := range names[:3] {
		m, err := boot(ctx, b.image, b.dir, name, i)
		if err != nil {
			return err
		}
		b.cluster = append(b.cluster, m)
	}
	if err := b.each(step, func(ctx context.Context, m *machine) error { return b.furnish(ctx, m) }); err != nil {
		return err
	}
	return b.show(step, b.cluster[0], "uname -sr; systemctl --version | head -1; stat -fc 'cgroups: %T' /sys/fs/cgroup; docker version --format 'Docker {{.Server.Version}}'")
}

// prepare makes the disk, the network and the files for the machines.
func (b *bed) prepare(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "test/vm/image.sh").Output()
	if err != nil {
		return fmt.Errorf("test/vm/image.sh: %w", err)
	}
	b.image = strings.TrimSpace(string(out))
	files := filepath.Join(b.dir, "tombolo")
	script := fmt.Sprintf("mkdir -p %[1]s/bin && cp %[2]s %[1]s/bin/tombolo && cp -r packaging %[1]s && CGO_ENABLED=0 go build -buildvcs=false -o %[1]s/probe ./test/e2e/probe", files, b.binary)
	if out, err := exec.CommandContext(ctx, "sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("prepare %s: %w: %s", files, err, out)
	}
	for name, content := range map[string]string{
		"Dockerfile":   "FROM scratch\nCOPY probe /probe\nENTRYPOINT [\"/probe\"]\n",
		"compose.yaml": app,
	} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return makeWire(ctx, len(names))
}

// furnish waits until a machine has booted, copies the files onto it and builds the image there.
func (b *bed) furnish(ctx context.Context, m *machine) error {
	if err := m.awaitBoot(ctx); err != nil {
		return err
	}
	if err := m.copy(ctx, filepath.Join(b.dir, "tombolo")); err != nil {
		return err
	}
	_, err := m.run(ctx, "docker build -q -t probe tombolo")
	return err
}

// each calls do for all machines of the cluster at once.
func (b *bed) each(ctx context.Context, do func(context.Context, *machine) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range b.cluster {
		g.Go(func() error { return do(ctx, m) })
	}
	return g.Wait()
}

// show runs a command on a machine and prints it with its output.
func (b *bed) show(ctx context.Context, m *machine, command string) error {
	out, err := m.run(ctx, command)
	if err != nil {
		return err
	}
	fmt.Printf("%s$ %s\n%s", m.name, command, out)
	return nil
}

// errNotYet means that the expected state may still come.
var errNotYet = errors.New("not yet")
