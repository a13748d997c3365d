package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	mdns "github.com/miekg/dns"

	"tombolo/test/bench/load"
)

const (
	dnsRounds  = 15
	dnsSlice   = 700 * time.Millisecond
	dnsName    = "db.shop.tombolo.internal"
	dnsSockets = 4
	dnsWindow  = 16
	dnsReplies = 3 // addresses in an answer
)

// dnsServer is one of those compared, in a process of its own.
type dnsServer struct {
	name string
	addr netip.AddrPort
	pid  int

	cpu  []float64 // microseconds per answer, a sample a round
	rate []float64 // answers per second
	p50  []float64 // microseconds
	p99  []float64
	lost int
}

// benchDNS asks each server in turn, round after round.
func benchDNS(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	servers, err := startDNSServers(ctx)
	if err != nil {
		return err
	}
	query, err := dnsQuery()
	if err != nil {
		return err
	}
	for range dnsRounds {
		for _, s := range servers {
			if err := s.sample(ctx, query); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	printDNS(out, servers)
	return nil
}

func dnsQuery() ([]byte, error) {
	q := new(mdns.Msg)
	q.SetQuestion(mdns.Fqdn(dnsName), mdns.TypeA)
	return q.Pack()
}

func (s *dnsServer) sample(ctx context.Context, query []byte) error {
	l := load.UDPLoad{Server: s.addr, Query: query, Sockets: dnsSockets, Outstanding: dnsWindow}
	before, err := load.CPUTime(s.pid)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := l.Run(ctx, dnsSlice)
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := load.CPUTime(s.pid)
	if err != nil {
		return err
	}
	micro := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	s.cpu = append(s.cpu, micro(after-before)/float64(r.Answers))
	s.rate = append(s.rate, float64(r.Answers)/took.Seconds())
	s.p50 = append(s.p50, micro(load.Quantile(r.Latency, 0.5)))
	s.p99 = append(s.p99, micro(load.Quantile(r.Latency, 0.99)))
	s.lost += r.Lost
	return nil
}

func startDNSServers(ctx context.Context) ([]*dnsServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	coredns, corefile, err := buildCoreDNS(ctx)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var servers []*dnsServer
	for _, s := range []struct {
		name string
		argv []string
	}{
		{"echo", []string{self, "serve-echo"}},
		{"tombolo", []string{self, "serve-dns"}},
		{"coredns", []string{coredns, "-quiet", "-conf", corefile, "-dns.port", fmt.Sprint(port)}},
	} {
		server, err := startDNS(ctx, s.name, s.argv)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", s.name, err)
		}
		if s.name == "coredns" {
			server.addr = netip.AddrPortFrom(load.Loopback.Addr(), port)
		}
		if err := server.await(ctx); err != nil {
			return nil, err
		}
		servers = append(servers, server)
	}
	return servers, nil
}

// startDNS starts a server that ends with ctx or with this process. Ours print
// their address first.
func startDNS(ctx context.Context, name string, argv []string) (*dnsServer, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &dnsServer{name: name, pid: cmd.Process.Pid}
	lines := bufio.NewScanner(stdout)
	if strings.HasPrefix(argv[1], "serve-") && lines.Scan() {
		s.addr, err = netip.ParseAddrPort(lines.Text())
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait() // killed by ctx: no news
	}()
	return s, err
}

// await asks until the server answers.
func (s *dnsServer) await(ctx context.Context) error {
	query, err := dnsQuery()
	if err != nil {
		return err
	}
	for range 50 {
		_, err = load.UDPLoad{Server: s.addr, Query: query, Sockets: 1, Outstanding: 1}.Run(ctx, 100*time.Millisecond)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s does not answer: %w", s.name, err)
}

// buildCoreDNS builds the nested module and writes a Corefile with the same
// names that our server has.
func buildCoreDNS(ctx context.Context) (binary, corefile string, err error) {
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
	for i := range dnsReplies {
		fmt.Fprintf(&hosts, "        100.64.1.%d %s\n", i+2, dnsName)
	}
	corefile = filepath.Join(filepath.Dir(binary), "Corefile")
	text := fmt.Sprintf(". {\n    bind 127.0.0.1\n    hosts {\n%s    }\n}\n", hosts.String())
	return binary, corefile, os.WriteFile(corefile, []byte(text), 0o600)
}

func freePort() (uint16, error) {
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(load.Loopback))
	if err != nil {
		return 0, err
	}
	return pc.LocalAddr().(*net.UDPAddr).AddrPort().Port(), errors.Join(pc.Close())
}
