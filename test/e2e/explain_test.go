package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tombolo/cmd/doctor"
	"tombolo/cmd/lab"
	"tombolo/linker/explain"
	"tombolo/linker/problem"
)

// explains runs `tombolo explain` until its first failing step is want ("": none fails), and
// found is in what it says.
func explains(t *testing.T, from, to, want, found string) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		r, err := tombolo.Run(ctx, "explain", "--format", "json", from, to)
		if err != nil {
			return err
		}
		var got explain.Explanation
		if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
			return fmt.Errorf("explain %s %s: %w: %s", from, to, err, r.Stderr)
		}
		failure := got.Failure()
		if failure == nil {
			failure = &explain.Step{Found: fmt.Sprint(got.Steps)}
		}
		if failure.Name != want || !strings.Contains(failure.Found, found) || (r.Code == 0) != (want == "") {
			return fmt.Errorf("explain %s %s ends with code %d and names %q (%s), want %q (%s)", from, to, r.Code, failure.Name, failure.Found, want, found)
		}
		return nil
	})
}

// examine runs `tombolo doctor` for a host of the lab.
func examine(ctx context.Context, host string, flags ...string) (doctor.Examination, int, error) {
	r, err := tombolo.Run(ctx, append([]string{"doctor", "--format", "json", "--host", host}, flags...)...)
	if err != nil {
		return doctor.Examination{}, 0, err
	}
	var all []doctor.Examination
	if err := json.Unmarshal([]byte(r.Stdout), &all); err != nil {
		return doctor.Examination{}, 0, fmt.Errorf("doctor of %s printed %q: %w: %s", host, r.Stdout, err, r.Stderr)
	}
	if len(all) != 1 {
		return doctor.Examination{}, 0, fmt.Errorf("doctor of %s examined %d hosts: %s", host, len(all), r.Stderr)
	}
	return all[0], r.Code, nil
}

// diagnosis is a problem that doctor finds, and a part of its reason.
type diagnosis struct {
	kind   problem.Kind
	reason string
}

// diagnoses runs `tombolo doctor` for a host until it finds a problem, with the reason.
func diagnoses(t *testing.T, host string, want problem.Kind, reason string) {
	t.Helper()
	diagnosesAll(t, host, diagnosis{want, reason})
}

// diagnosesAll is diagnoses for several problems, which one run of doctor has to find together.
func diagnosesAll(t *testing.T, host string, wanted ...diagnosis) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		got, code, err := examine(ctx, host)
		if err != nil {
			return err
		}
		for _, want := range wanted {
			found := slices.ContainsFunc(got.Findings, func(f doctor.Finding) bool {
				return f.Name == want.kind.Name && strings.Contains(f.Reason, want.reason) && f.Remedy != ""
			})
			if !found || code == 0 {
				return fmt.Errorf("doctor of %s ends with code %d and finds %v, want %s (%s)", host, code, got.Findings, want.kind.Name, want.reason)
			}
		}
		return nil
	})
}

func TestExplainNamesTheFirstStepThatFails(t *testing.T) {
	web := start(t, 0, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	db := start(t, 1, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	near := start(t, 0, spec{app: "shop", service: "near", args: []string{"serve", "80"}})
	alone := start(t, 1, spec{app: "shop", service: "alone", networks: map[string][]string{"shop_other": nil}, args: []string{"serve", "80"}})
	inner := start(t, 0, spec{app: "shop", service: "inner", flags: []string{"--label", "tombolo.internal=true"}, args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	explains(t, "web.1", "db:5432", "", "has opened a connection")
	explains(t, "shop/web", db.address(t)+":5432", "", "has opened a connection")
	explains(t, "web", near.name+":80", "", "is behind")
	explains(t, "web", "outside", "", "may reach the outside")
	explains(t, "web", "db:81", "listener", "nothing in shop/db.1 listens on port 81/tcp")
	explains(t, "web", "alone:80", "name", "share no network")
	explains(t, "web", alone.address(t)+":80", "policy", "share no network")
	explains(t, inner.name, "outside", "policy", "all of its networks are internal")
	explains(t, "outside", "db:5432", "published port", "publishes no port")
	for _, step := range []struct{ command, step, found string }{
		{"pause", "target", "has ended, or is paused"}, {"unpause", "", "has opened a connection"},
	} {
		if out, err := docker(t.Context(), db.host, step.command, db.name); err != nil {
			t.Fatalf("%s %s: %v: %s", step.command, db.name, err, out)
		}
		explains(t, "web", "db:5432", step.step, step.found)
	}
}

func TestExplainNamesAnUnhealthyContainer(t *testing.T) {
	web := start(t, 0, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	c := container{host: testLab.Hosts[1], name: "shop-sick-1"}
	out, err := docker(t.Context(), c.host, "run", "-d", "--name", c.name, "--net", "tombolo", "--health-interval", "200ms", "--health-retries", "1",
		"--label", "tombolo.app=shop", "--label", "tombolo.service=sick", "--label", "tombolo.slot=1", "--label", `tombolo.networks={"shop_default":null}`, checkedImage, "serve", "80")
	t.Cleanup(func() { removeContainer(t, c.host, c.name) })
	if err != nil {
		t.Fatalf("start %s: %v: %s", c.name, err, out)
	}
	if out, err := c.exec(t.Context(), "unhealthy"); err != nil {
		t.Fatalf("make %s unhealthy: %v: %s", c.name, err, out)
	}
	explains(t, web.name, "sick:80", "target", "shop/sick.1 is unhealthy")
}

// The network between two hosts loses the packets of the tunnel, and nothing else.
func TestExplainNamesATunnelThatIsBlocked(t *testing.T) {
	web := start(t, 0, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	db := start(t, 1, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web.reaches(t, "db:5432")
	blockTunnel(t, db.host)
	r, err := tombolo.Run(t.Context(), "explain", "web", "db:5432")
	if err != nil || r.Code == 0 || !strings.Contains(r.Stdout, "UDP port 8480") {
		t.Errorf("explain says, with code %d (%v):\n%s%s\nwant a failure that names UDP port 8480", r.Code, err, r.Stdout, r.Stderr)
	}
}

// blockTunnel drops what arrives for the tunnel of a host before any firewall sees it, until
// the test ends.
func blockTunnel(t *testing.T, h lab.Host) {
	t.Helper()
	inHost(t, h, "nft", `add table netdev lossy { chain in { type filter hook ingress device "eth0" priority 0; udp dport 8480 drop; }; }`)
	t.Cleanup(func() { inHost(t, h, "nft", "delete table netdev lossy") })
}

func TestDoctorFindsNoOutageInALab(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	within(t, func(ctx context.Context) error {
		for _, h := range testLab.Hosts {
			got, _, err := examine(ctx, h.Name)
			if err != nil {
				return err
			}
			for _, f := range got.Findings {
				if f.Severity == problem.Outage {
					return fmt.Errorf("doctor of %s finds %v, want no outage", h.Name, f)
				}
			}
		}
		return nil
	})
}

func TestDoctorNamesWhatDropsNames(t *testing.T) {
	web := start(t, 0, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	pid, err := docker(t.Context(), web.host, "inspect", "--format", "{{.State.Pid}}", web.name)
	if err != nil {
		t.Fatal(err)
	}
	web.reaches(t, "web:80")
	inHost(t, web.host, "nsenter", "-t", pid, "-n", "iptables", "-A", "INPUT", "-s", "169.254.1.1", "-j", "DROP")
	diagnoses(t, web.host.Name, problem.NamesUnanswered, "timeout")
	explains(t, "web", "web:80", "name", "gets no answer to DNS queries")
}

// No linker runs: doctor says so, checks the rest, and mends what is safe.
func TestDoctorWithoutALinker(t *testing.T) {
	h := testLab.Hosts[1]
	signalLinker(t, h, "-STOP")
	t.Cleanup(func() { signalLinker(t, h, "-CONT") })
	inHost(t, h, "sysctl", "-qw", "net.ipv4.ip_forward=0")
	inHost(t, h, "nft", "table inet site { chain in { type filter hook input priority 0; policy accept; iifname lo accept; ip saddr 100.64.0.0/10 drop; tcp dport 9999 drop; counter drop; }; }")
	t.Cleanup(func() { inHost(t, h, "nft", "delete table inet site") })
	diagnosesAll(t, h.Name, diagnosis{problem.LinkerDown, ""}, diagnosis{problem.FirewallDrops, "counter drop"},
		diagnosis{problem.PoolDropped, "ip saddr 100.64.0.0/10 drop"}, diagnosis{problem.ForwardingOff, "net.ipv4.ip_forward is 0"})
	diagnoses(t, testLab.Hosts[0].Name, problem.PeerSilent, h.Name)
	if _, _, err := examine(t.Context(), h.Name, "--fix"); err != nil {
		t.Error(err)
	}
	if got := inHost(t, h, "sysctl", "-n", "net.ipv4.ip_forward"); got != "1" {
		t.Errorf("after doctor --fix, net.ipv4.ip_forward is %s, want 1", got)
	}
	signalLinker(t, h, "-CONT")
	waitReady(t, h)
}

func TestDoctorNamesAnEngineThatIsStopped(t *testing.T) {
	h := testLab.Hosts[2]
	pid := inHost(t, h, "pgrep", "-x", "dockerd")
	inHost(t, h, "kill", "-STOP", pid)
	t.Cleanup(func() { inHost(t, h, "kill", "-CONT", pid) })
	stopped := time.Now()
	if names(t, h, problem.DockerUnreachable.Name, "the Engine has not answered for 5s") {
		t.Errorf("%s is ready, although its Engine answers nothing", h.Name)
	}
	if took := time.Since(stopped); took > 15*time.Second {
		t.Errorf("the linker named the Engine after %s, want about 8 s", took)
	}
	diagnoses(t, h.Name, problem.DockerUnreachable, "")
	inHost(t, h, "kill", "-CONT", pid)
	waitReady(t, h)
}

func TestDoctorNamesAPoolThatIsRoutedElsewhere(t *testing.T) {
	h := testLab.Hosts[2]
	inHost(t, h, "ip", "link", "add", "vpn0", "type", "bridge")
	t.Cleanup(func() { _ = h.Command("ip", "link", "del", "vpn0").Run() })
	inHost(t, h, "ip", "link", "set", "vpn0", "up")
	inHost(t, h, "ip", "route", "add", "100.100.0.0/16", "dev", "vpn0", "table", "52")
	diagnoses(t, h.Name, problem.PoolRoutedElsewhere, "100.100.0.0/16")
	inHost(t, h, "ip", "link", "del", "vpn0")
}
