package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"tombolo/dns"
	"tombolo/test/bench/load"
)

// Ports of the other servers. The linker has port 53.
const (
	echoPort    = 5301
	corednsPort = 5302
)

// startDNSServers returns the echo server, ours and CoreDNS, in this order, when all of them answer.
func startDNSServers(ctx context.Context, host engine, replies []netip.Addr) (servers []*dnsServer, corednsVersion string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	coredns, corefile, err := buildCoreDNS(ctx, replies)
	if err != nil {
		return nil, "", err
	}
	corednsVersion, err = output(exec.CommandContext(ctx, coredns, "-version"))
	if err != nil {
		return nil, "", err
	}
	pids, err := linkerPIDs(host.host.Name)
	if err != nil {
		return nil, "", err
	}
	echo := netip.AddrPortFrom(dnsGateway, echoPort)
	servers = []*dnsServer{
		{name: "echo", addr: echo},
		{name: "tombolo", addr: netip.AddrPortFrom(dnsGateway, 53), addresses: len(replies), pid: pids[1]},
		{name: "coredns", addr: netip.AddrPortFrom(dnsGateway, corednsPort), addresses: len(replies)},
	}
	for server, argv := range map[*dnsServer][]string{
		servers[0]: {self, "serve-echo", echo.String()},
		servers[2]: {coredns, "-quiet", "-conf", corefile, "-dns.port", fmt.Sprint(corednsPort)},
	} {
		if server.pid, err = startDNS(host.inHostNetwork(ctx, argv...)); err != nil {
			return nil, "", fmt.Errorf("start %s: %w", server.name, err)
		}
	}
	for _, s := range servers {
		if err := s.await(ctx, host); err != nil {
			return nil, "", err
		}
	}
	version, _, _ := strings.Cut(corednsVersion, "\n")
	return servers, version, nil
}

// startDNS starts a server that ends with ctx or with this process.
func startDNS(cmd *exec.Cmd) (pid int, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() { _ = cmd.Wait() }() // it always ends by being killed
	return cmd.Process.Pid, nil
}

// buildCoreDNS builds CoreDNS, which is a Go module of its own, and writes a Corefile with the same
// answer as our server's.
func buildCoreDNS(ctx context.Context, replies []netip.Addr) (binary, corefile string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	binary = filepath.Join(cache, "tombolo-bench", "coredns")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	cmd.Dir = filepath.Join("test", "bench", "coredns")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("build CoreDNS: %w\n%s", err, out)
	}
	var hosts strings.Builder
	for _, addr := range replies {
		fmt.Fprintf(&hosts, "        %s %s\n", addr, dnsName)
	}
	corefile = filepath.Join(filepath.Dir(binary), "Corefile")
	text := fmt.Sprintf(". {\n    bind %s\n    hosts {\n%s    }\n}\n", dnsGateway, hosts.String())
	return binary, corefile, os.WriteFile(corefile, []byte(text), 0o600)
}

// serveEcho runs the echo server with as many sockets as our server has.
func serveEcho(ctx context.Context, args []string) error {
	addr, err := netip.ParseAddrPort(strings.Join(args, " "))
	if err != nil {
		return err
	}
	socks, err := dns.Listen(ctx, addr)
	if err != nil {
		return err
	}
	_ = socks.TCP.Close()
	return load.Echo(ctx, socks.UDP)
}
