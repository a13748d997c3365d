package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// space is the network namespace with the machines' network. This machine's own network stays
// untouched.
const space = "tombolo-vm"

// makeWire creates the namespace with a bridge, and a tap device for each of n machines.
func makeWire(ctx context.Context, n int) error {
	removeWire() // of a run that was killed
	lines := []string{
		"netns add " + space,
		"-n " + space + " link add wire type bridge",
		"-n " + space + " addr add 198.18.1.1/24 dev wire",
		"-n " + space + " link set lo up",
		"-n " + space + " link set wire up",
	}
	for i := range n {
		tap := tapName(i)
		lines = append(lines,
			"-n "+space+" tuntap add "+tap+" mode tap",
			"-n "+space+" link set "+tap+" master wire up")
	}
	for _, line := range lines {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
	}
	return nil
}

func removeWire() {
	_ = exec.Command("ip", "netns", "del", space).Run() // there may be none
}

func tapName(i int) string { return fmt.Sprintf("vm%d", i) }

func addrOf(i int) string { return fmt.Sprintf("198.18.1.%d", 10+i) }

// onWire returns a command that runs in the machines' network.
func onWire(ctx context.Context, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", space}, argv...)...)
}
