package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tombolo/internal/wake"
)

// machine is a virtual machine that runs until its context ends.
type machine struct {
	name  string
	addr  string
	image string     // folder that image.sh made
	log   string     // file with the console's output
	ended chan error // gets the result when the machine has ended
}

// boot starts machine number i with a disk that is a copy-on-write layer over the image's.
func boot(ctx context.Context, image, dir, name string, i int) (*machine, error) {
	m := &machine{name: name, addr: addrOf(i), image: image, log: filepath.Join(dir, name+".log"), ended: make(chan error, 1)}
	disk := filepath.Join(dir, name+".qcow2")
	if out, err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", filepath.Join(image, "disk.img"), disk).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("disk of %s: %w: %s", name, err, out)
	}
	console, err := os.Create(m.log)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	cmd := onWire(ctx, "qemu-system-x86_64", "-cpu", "max", "-m", "1280", "-nographic",
		"-kernel", filepath.Join(image, "vmlinuz"), "-initrd", filepath.Join(image, "initrd"),
		"-append", fmt.Sprintf("root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 systemd.hostname=%s ip=%s::198.18.1.1:255.255.255.0::eth0:off", name, m.addr),
		"-drive", "if=virtio,cache=unsafe,file="+disk,
		"-netdev", "tap,script=no,downscript=no,id=wire,ifname="+tapName(i),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=wire,mac=02:00:00:00:01:%02x", i))
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // ends it with the main thread, which run() locks
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { m.ended <- cmd.Wait() }()
	return m, nil
}

// awaitBoot waits until the machine has booted and accepts commands.
func (m *machine) awaitBoot(ctx context.Context) error {
	return until(ctx, func() error {
		select {
		case err := <-m.ended:
			return fmt.Errorf("%s ended (its console: %s): %w", m.name, m.log, errors.Join(errEnded, err))
		default:
		}
		out, err := m.run(ctx, "systemctl is-system-running --wait || true")
		if err == nil && !strings.Contains(out, "running") && !strings.Contains(out, "degraded") {
			err = fmt.Errorf("%s is %s", m.name, strings.TrimSpace(out))
		}
		return err
	})
}

// reboot reboots the machine and waits until it has booted again.
func (m *machine) reboot(ctx context.Context) error {
	before, err := m.run(ctx, "cat /proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	if _, err := m.run(ctx, "systemctl --no-block reboot"); err != nil {
		return err
	}
	err = until(ctx, func() error {
		now, err := m.run(ctx, "cat /proc/sys/kernel/random/boot_id")
		if err == nil && now == before {
			err = fmt.Errorf("%s has not rebooted yet", m.name)
		}
		return err
	})
	if err != nil {
		return err
	}
	return m.awaitBoot(ctx)
}

// run runs a shell command as root on the machine and returns its output.
func (m *machine) run(ctx context.Context, command string) (string, error) {
	argv := append([]string{"ssh"}, append(m.ssh(), "root@"+m.addr, command)...)
	out, err := onWire(ctx, argv...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %s: %w: %s", m.name, command, err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// copy copies files and folders into the machine's /root.
func (m *machine) copy(ctx context.Context, paths ...string) error {
	argv := append([]string{"scp", "-r"}, m.ssh()...)
	out, err := onWire(ctx, append(append(argv, paths...), "root@"+m.addr+":/root/")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy to %s: %w: %s", m.name, err, out)
	}
	return nil
}

func (m *machine) ssh() []string {
	return []string{
		"-q", "-i", filepath.Join(m.image, "key"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "ConnectTimeout=5", "-o", "BatchMode=yes",
	}
}

// errEnded means that waiting any longer is useless.
var errEnded = errors.New("the machine is off")

// until repeats f every second until it succeeds, the machine has ended, or ctx ends.
func until(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		if !wake.Sleep(ctx, time.Second) {
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		}
	}
}
