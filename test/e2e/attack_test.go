package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/linker/record"
)

// secondAddress is an address of the first host that its peers do not know.
const secondAddress = "198.18.0.200"

// addSecondAddress gives the address to the first host while the test runs, which checks no
// source addresses meanwhile: systemd's default is as bad.
func addSecondAddress(t *testing.T) lab.Host {
	t.Helper()
	h := testLab.Hosts[0]
	inHost(t, h, "ip", "addr", "add", secondAddress+"/24", "dev", "eth0")
	t.Cleanup(func() { inHost(t, h, "ip", "addr", "del", secondAddress+"/24", "dev", "eth0") })
	for _, name := range []string{"all", "eth0", "docker0"} {
		setting := "net.ipv4.conf." + name + ".rp_filter"
		before := inHost(t, h, "sysctl", "-n", setting)
		inHost(t, h, "sysctl", "-w", setting+"=0")
		t.Cleanup(func() { inHost(t, h, "sysctl", "-w", setting+"="+before) })
	}
	return h
}

// plainContainer starts a container on Docker's own bridge, with the privileges that Docker gives by
// default.
func plainContainer(t *testing.T, h lab.Host, name string) container {
	t.Helper()
	return dockerContainer(t, h, name, nil, "serve", "80")
}

// dockerContainer runs the probe with args in a container that is not on the overlay.
func dockerContainer(t *testing.T, h lab.Host, name string, flags []string, args ...string) container {
	t.Helper()
	c := container{host: h, name: name}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if out, err := docker(ctx, h, "rm", "-f", name); err != nil {
			t.Errorf("remove %s: %v: %s", name, err, out)
		}
	})
	if out, err := docker(t.Context(), h, slices.Concat([]string{"run", "-d", "--name", name}, flags, []string{image}, args)...); err != nil {
		t.Fatalf("start %s: %v: %s", name, err, out)
	}
	return c
}

// Only members send VXLAN, and only to the underlay address of a host: neither containers of the
// overlay, whose packets look like their host's, nor those of Docker's own networks, which can forge
// its address.
func TestContainersCannotInjectIntoTheOverlay(t *testing.T) {
	h := addSecondAddress(t)
	victim := start(t, 0, spec{app: "shop", service: "db", args: []string{"catch", "9999"}})
	friend := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	stranger := start(t, 1, spec{app: "stranger", service: "tool", flags: []string{"--cap-drop", "ALL"}, args: []string{"serve", "80"}})
	plain := plainContainer(t, h, "attack-plain")
	member := testLab.Hosts[1].Underlay.String()
	bridge := inHost(t, h, "sh", "-c", "ip -4 -o addr show docker0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'")
	inside := []string{friend.address(t), victim.address(t), "9999"}
	for _, attack := range []struct {
		by       container
		from, to string
	}{
		{stranger, "-", secondAddress},
		{stranger, "-", h.Underlay.String()},
		{plain, member, h.Underlay.String()},
		{plain, member, secondAddress},
		{plain, member, bridge},
	} {
		if out, err := attack.by.exec(t.Context(), append([]string{"inject", attack.from, attack.to}, inside...)...); err != nil {
			t.Fatalf("inject: %v: %s", err, out)
		}
		if heard := victim.logs(t); heard != "" {
			t.Fatalf("%s injected from %s to %s, and the victim heard %q", attack.by.name, attack.from, attack.to, heard)
		}
	}
	within(t, func(context.Context) error { // a member itself can: the packets are well-formed
		inHost(t, testLab.Hosts[1], append([]string{probe, "inject", "-", h.Underlay.String()}, inside...)...)
		if heard := victim.logs(t); !strings.Contains(heard, friend.address(t)) {
			return fmt.Errorf("a member's packet has not arrived: %q", heard)
		}
		return nil
	})
}

// Gossip and the other control ports are closed to every container, at every address.
func TestContainersReachNoControlPort(t *testing.T) {
	h := addSecondAddress(t)
	near := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "80"}})
	far := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	plain := plainContainer(t, h, "attack-plain")
	near.reaches(t, "web:80") // it is identified, so it has access to the outside
	far.reaches(t, "db:80")
	dockerContainer(t, h, "attack-engine", []string{"--network", "host"}, "serve", "2375") // as if the Engine listened
	inHost(t, testLab.Hosts[1], "bash", "-c", "exec 3<>/dev/tcp/"+secondAddress+"/2375")   // a member reaches it
	inHost(t, testLab.Hosts[1], "bash", "-c", "exec 3<>/dev/tcp/"+h.Underlay.String()+"/7980")
	for _, attack := range []struct {
		by container
		to string
	}{
		{near, h.Underlay.String() + ":7980"},
		{near, h.Underlay.String() + ":2375"},
		{near, secondAddress + ":2375"},
		{near, testLab.Hosts[1].Underlay.String() + ":7980"},
		{far, h.Underlay.String() + ":7980"},
		{far, h.Underlay.String() + ":2375"},
		{far, secondAddress + ":2375"},
		{plain, h.Underlay.String() + ":7980"},
		{plain, secondAddress + ":2375"},
		{plain, testLab.Hosts[1].Underlay.String() + ":7980"},
	} {
		attack.by.isRefused(t, attack.to)
	}
	// A container of Docker's own network on another host, as soon as that knows the address.
	elsewhere := plainContainer(t, testLab.Hosts[1], "attack-elsewhere")
	within(t, func(ctx context.Context) error {
		if out, err := elsewhere.exec(ctx, "dial", secondAddress+":2375"); err == nil || !strings.Contains(out, "refused") {
			return fmt.Errorf("%s dials %s: %w: %s; want it refused at once", elsewhere.name, secondAddress, err, out)
		}
		return nil
	})
	for _, metadata := range []string{"169.254.169.254:80", "168.63.129.16:80", "169.254.170.23:80"} {
		near.isRefused(t, metadata)
	}
}

// isRefused checks that a connection to target is refused at once.
func (c container) isRefused(t *testing.T, target string) {
	t.Helper()
	if out, err := c.exec(t.Context(), "dial", target); err == nil || !strings.Contains(out, "refused") {
		t.Errorf("%s dials %s: %v: %s; want it refused at once", c.name, target, err, out)
	}
}

// An internal container reaches no published port: of its own host, or of another at its overlay
// address, which the tunnel leads to.
func TestInternalContainersReachNoPublishedPort(t *testing.T) {
	internal := []string{"--label", record.LabelInternal + "=true"}
	web := start(t, 0, spec{app: "front", service: "web", flags: []string{"-p", "18081:80"}, args: []string{"serve", "80"}})
	shut := start(t, 1, spec{app: "vault", service: "db", flags: internal, args: []string{"serve", "80"}})
	open := start(t, 1, spec{app: "other", service: "db", args: []string{"serve", "80"}})
	block := web.address(t)
	overlay := block[:strings.LastIndex(block, ".")] + ".1:18081"
	open.reaches(t, overlay)
	shut.reaches(t, "db:80") // it is identified
	for _, to := range []string{overlay, testLab.Hosts[0].Underlay.String() + ":18081", testLab.Hosts[1].Underlay.String() + ":18081"} {
		shut.refuses(t, to)
	}
}

// A neighbour on the underlay sends packets for 127.0.0.1 to the host's MAC address.
func TestLoopbackPortsAnswerNoNeighbour(t *testing.T) {
	h := testLab.Hosts[0]
	victim := start(t, 0, spec{app: "shop", service: "db", flags: []string{"-p", "127.0.0.1:19999:9999/udp"}, args: []string{"catch", "9999"}})
	mac := inHost(t, h, "cat", "/sys/class/net/eth0/address")
	own := func() { inHost(t, h, "bash", "-c", "echo hello >/dev/udp/127.0.0.1/19999") }
	within(t, func(context.Context) error { // the host itself reaches it
		own()
		time.Sleep(50 * time.Millisecond) // until the container has printed it
		if victim.logs(t) == "" {
			return fmt.Errorf("the host's own packet has not arrived")
		}
		return nil
	})
	before := victim.logs(t)
	inHost(t, testLab.Hosts[1], probe, "frame", "eth0", mac, testLab.Hosts[1].Underlay.String(), "127.0.0.1", "19999")
	if after := victim.logs(t); after != before {
		t.Errorf("a neighbour's packets for 127.0.0.1 arrived: %q", strings.TrimPrefix(after, before))
	}
}
