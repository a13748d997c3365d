// Command init is the first process of a test's virtual machine. It runs the command in
// the file /command, which has one argument per line, for at most five minutes, prints
// its exit code, and switches the machine off. The command does not come as arguments
// of init, because the kernel adds arguments of its own to these.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

func main() {
	command, err := os.ReadFile("/command")
	if err := errors.Join(err, prepare()); err != nil {
		fmt.Println("init:", err)
	} else {
		fmt.Println("init: exit code", run(strings.Split(string(command), "\n")))
	}
	syscall.Sync()
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF) // nobody could handle an error
}

// prepare mounts the file systems that programs expect and sets an address.
func prepare() error {
	for dir, kind := range map[string]string{
		"/dev": "devtmpfs", "/proc": "proc", "/sys": "sysfs", "/run": "tmpfs", "/var": "tmpfs", "/tmp": "tmpfs",
	} {
		if err := syscall.Mount(kind, dir, kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr("198.18.0.1/24")
	return errors.Join(err, netlink.LinkSetUp(lo), netlink.AddrAdd(lo, addr))
}

func run(argv []string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Println("init:", err)
	}
	return cmd.ProcessState.ExitCode()
}
