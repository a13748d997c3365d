// Command cluster is `make vm`: virtual machines of Debian with systemd, a kernel of
// their own and cgroup v2 are installed with packaging/install.sh as the Vagrantfile
// installs its machines, and used, stopped, rebooted. It prints what it sees; its exit
// code is 0 only if all was seen. Without KVM the machines are emulated, and slow.
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
	runtime.LockOSThread() // the machines end with the thread that started them
	binary := flag.String("binary", "bin/tombolo", "the tombolo binary")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bed{binary: *binary, began: time.Now()}
	if err := b.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\nvm: %v\n", err)
		return 1
	}
	fmt.Printf("\nEverything was observed, in %s.\n", time.Since(b.began).Round(time.Second))
	return 0
}

// bed is the state that the steps share: three machines of a cluster, and one alone.
type bed struct {
	binary  string
	began   time.Time
	dir     string // of the machines' disks, and of what is copied onto them
	image   string
	cluster []*machine
	alone   *machine
}

// patience bounds each step; a machine on a busy emulator takes a minute to boot.
const patience = 10 * time.Minute

var names = []string{"control", "agent1", "agent2", "alone"}

func (b *bed) run(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "tombolo-vm"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer removeWire()
	ctx, stop := context.WithCancel(ctx)
	defer b.await()
	defer stop() // ends the machines
	for i, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"Three machines of Debian", func(step context.Context) error { return b.bootCluster(ctx, step) }},
		{"packaging/install.sh linker on each", b.install},
		{"By name, from one machine to another", b.useNames},
		{"SIGSTOP of a whole linker: systemd starts another", b.stopLinker},
		{"Docker and systemd-networkd restart", b.restartOthers},
		{"A machine reboots: its linker is there before Docker", b.rebootAgent},
		{"One machine alone: packaging/install.sh daemon, up, reboot", func(step context.Context) error { return b.bootAlone(ctx, step) }},
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

// await waits until the machines have ended, and shows what stays.
func (b *bed) await() {
	for _, m := range append(b.cluster, b.alone) {
		if m != nil {
			<-m.ended
		}
	}
}

// bootCluster boots machines that live as long as ctx; step is the step's own.
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

// prepare makes the disk, the network and what every machine is given.
func (b *bed) prepare(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "test/vm/image.sh").Output()
	if err != nil {
		return fmt.Errorf("test/vm/image.sh: %w", err)
	}
	b.image = strings.TrimSpace(string(out))
	given := filepath.Join(b.dir, "tombolo")
	script := fmt.Sprintf("mkdir -p %[1]s/bin && cp %[2]s %[1]s/bin/tombolo && cp -r packaging %[1]s && CGO_ENABLED=0 go build -buildvcs=false -o %[1]s/probe ./test/e2e/probe", given, b.binary)
	if out, err := exec.CommandContext(ctx, "sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("prepare %s: %w: %s", given, err, out)
	}
	for name, content := range map[string]string{
		"Dockerfile":   "FROM scratch\nCOPY probe /probe\nENTRYPOINT [\"/probe\"]\n",
		"compose.yaml": app,
	} {
		if err := os.WriteFile(filepath.Join(given, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return makeWire(ctx, len(names))
}

// furnish waits for a machine and gives it the binary, the packaging and an image.
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

// each does the same on every machine of the cluster at once.
func (b *bed) each(ctx context.Context, do func(context.Context, *machine) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range b.cluster {
		g.Go(func() error { return do(ctx, m) })
	}
	return g.Wait()
}

// show runs a command and prints it with what it printed.
func (b *bed) show(ctx context.Context, m *machine, command string) error {
	out, err := m.run(ctx, command)
	if err != nil {
		return err
	}
	fmt.Printf("%s$ %s\n%s", m.name, command, out)
	return nil
}

var errNotSeen = errors.New("not seen")
