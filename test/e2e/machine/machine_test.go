package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/test/cli"
)

// patience limits every wait of these tests. What they wait for takes far less.
const patience = 60 * time.Second

// boot is the script of a machine's init. The machine's disk is the folder $DISK, its cgroups are a
// part of the real machine's, and its network leads nowhere.
const boot = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/netns
for d in lib/docker lib/tombolo lib/tombolo-lab cache/tombolo; do
	mkdir -p "$DISK/$d" "/var/$d"
	mount --bind "$DISK/$d" "/var/$d"
done
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then # hierarchies of version 1
	mkdir /run/cgroup
	mount -t tmpfs cgroup /run/cgroup
	for h in /sys/fs/cgroup/*/; do
		mkdir -p "$h$CGROUP"
		for f in cpuset.cpus cpuset.mems; do
			[ ! -e "$h$f" ] || cat "$h$f" >"$h$CGROUP/$f"
		done
		echo $$ >"$h$CGROUP/cgroup.procs"
		mkdir "/run/cgroup/$(basename "$h")"
		mount --bind "$h$CGROUP" "/run/cgroup/$(basename "$h")"
	done
	umount -R /sys/fs/cgroup
	mount --move /run/cgroup /sys/fs/cgroup
	rmdir /run/cgroup
fi
hostname machine
ip link set lo up
ip link add eth0 type veth peer name far
ip link set far addrgenmode none up
ip link set eth0 addrgenmode none up
ip addr add 192.0.2.10/24 dev eth0
ip route add default via 192.0.2.1
echo ready
while :; do sleep 1000 & wait $!; done
`

// machine is a virtual machine of its own: namespaces, a disk and an init.
type machine struct {
	cli.CLI
	disk string
	name string // of its cgroup
	init *exec.Cmd
}

// start boots a machine that ends with the test.
func start(t *testing.T) *machine {
	t.Helper()
	m := &machine{disk: t.TempDir(), name: fmt.Sprintf("tombolo-machine-%d-%d", os.Getpid(), time.Now().UnixNano())}
	t.Cleanup(func() {
		m.halt(t)
		m.removeCgroups(t)
	})
	m.Binary = filepath.Join(t.TempDir(), "tombolo")
	m.boot(t)
	return m
}

func (m *machine) boot(t *testing.T) {
	t.Helper()
	m.init = exec.Command("bash", "-c", boot)
	m.init.Env = append(os.Environ(), "DOCKER_HOST=", "DISK="+m.disk, "CGROUP="+m.name)
	m.init.Stderr = os.Stderr
	m.init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	out, err := m.init.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.init.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the machine did not boot; its init printed %q: %v", line, err)
	}
	script := fmt.Sprintf("#!/bin/sh\nunset DOCKER_HOST\nexec nsenter -t %d -m -n -p -u -i --wdns=/ -- %s \"$@\"\n", m.init.Process.Pid, binary)
	if err := os.WriteFile(m.Binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}

// halt ends the machine at once, like a power cut.
func (m *machine) halt(t *testing.T) {
	t.Helper()
	if err := m.init.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill the machine's init: %v", err)
	}
	_ = m.init.Wait() // it was killed
}

func (m *machine) removeCgroups(t *testing.T) {
	t.Helper()
	tops, err := filepath.Glob("/sys/fs/cgroup/*/" + m.name)
	if err != nil {
		t.Fatal(err)
	}
	tops = append(tops, m.cgroups()...)
	slices.Sort(tops)
	slices.Reverse(tops) // children first
	for _, dir := range tops {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("remove a cgroup of the machine: %v", err)
		}
	}
}

// cgroups returns the folders of the cgroups below the machine's.
func (m *machine) cgroups() []string {
	var all []string
	for depth := "/*"; ; depth += "/*" {
		found, _ := filepath.Glob("/sys/fs/cgroup/*/" + m.name + depth + "/cgroup.procs") // fails only for a bad pattern
		if len(found) == 0 {
			return all
		}
		for _, f := range found {
			all = append(all, filepath.Dir(f))
		}
	}
}

// inside returns a command that runs in the machine. signal sends it a signal.
func (m *machine) inside(ctx context.Context, argv ...string) *exec.Cmd {
	args := append([]string{"-t", fmt.Sprint(m.init.Process.Pid), "-m", "-n", "-p", "-u", "-i", "--wdns=/", "--"}, argv...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.Env = append(cmd.Environ(), "DOCKER_HOST=") // it has an Engine of its own
	cmd.WaitDelay = time.Second
	return cmd
}

// signal sends a signal to a command of inside, which is the only child of nsenter.
func signal(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	child, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(child)))
	if err != nil {
		return // it has ended
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}

// sh runs a script in the machine, which has to succeed, and returns its output.
func (m *machine) sh(t *testing.T, script string) string {
	t.Helper()
	out, err := m.inside(t.Context(), "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// path returns the path by which this process reaches a file of the machine.
func (m *machine) path(p string) string {
	return filepath.Join("/proc", fmt.Sprint(m.init.Process.Pid), "root", p)
}

// traces lists everything on the machine that Tombolo could leave behind, one thing on each line.
func (m *machine) traces(t *testing.T) []string {
	t.Helper()
	script := `
ps -eo args= | grep -vE '^(bash -c set -e|sleep 1000|sh -c|ps -eo|grep|sed|sort)|<defunct>$' | sed 's/^/process /'
cut -d' ' -f5 /proc/self/mountinfo | sed 's/^/mount /'
ip -o link | cut -d: -f2 | sed 's/^/link/'
ip route show table all | sed 's/^/route /'
ip netns list | sed 's/^/netns /'
nft list tables | sed 's/^/nft /'
find /run/tombolo /var/lib/tombolo-lab /run/docker/plugins -mindepth 1 2>/dev/null | sed 's/^/file /'
`
	lines := strings.Split(m.sh(t, script), "\n")
	for _, c := range m.cgroups() {
		lines = append(lines, "cgroup "+c)
	}
	slices.Sort(lines)
	return lines
}

// eventually polls check until it passes.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cli.Until(ctx, check); err != nil {
		t.Fatal(err)
	}
}

// must runs a tombolo command, which has to succeed, and returns its output.
func (m *machine) must(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := m.Must(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fails runs a tombolo command, which has to end with a code and print want on standard error.
func (m *machine) fails(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := m.Run(ctx, args...)
	if err != nil || r.Code != code || !strings.Contains(r.Stderr, want) {
		t.Errorf("tombolo %s: %v, exit code %d, output %q%q; want %d and %q", strings.Join(args, " "), err, r.Code, r.Stdout, r.Stderr, code, want)
	}
}
