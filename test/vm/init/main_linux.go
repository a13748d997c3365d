// Command init is the first process of a test's machine: it runs the command that the
// file /command has, a word a line, for a minute at most, says how that ended, and
// switches the machine off. (What a kernel hands its init is not the caller's alone.)
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
	if err := errors.Join(err, furnish()); err != nil {
		fmt.Println("init:", err)
	} else {
		fmt.Println("init: exit code", run(strings.Split(string(command), "\n")))
	}
	syscall.Sync()
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF) // there is nobody to tell
}

// furnish gives the machine what programs expect, and an address.
func furnish() error {
	for dir, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs", "/run": "tmpfs", "/var": "tmpfs", "/tmp": "tmpfs"} {
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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
