package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/api"
	"tombolo/linker/problem"
)

// healthy are the facts of a host on which nothing is wrong.
func healthy() Facts {
	return Facts{
		Host: "h1", Linker: &api.Status{Ready: true},
		Kernel:  Kernel{Release: "6.1.0", Sysctls: map[string]string{"net.ipv4.ip_forward": "1"}},
		Pools:   Pools{Pool4: netip.MustParsePrefix("100.64.0.0/10"), Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}},
		Clock:   Clock{Synchronised: true},
		Disks:   []Disk{{Path: "/var/lib/docker", Free: 10 << 30, Size: 20 << 30, FreeInodes: 500, Inodes: 1000}},
		Network: Network{Underlay: "eth0", UnderlayMTU: 1500, Device: "tombolo0", DeviceMTU: 1450},
		Docker:  Docker{Version: "28.5.1", Driver: "tombolo"},
		Names:   []Names{{Container: "web"}},
		Peers:   []Peer{{Name: "h2", State: "alive", Underlay: "198.18.0.12", MTU: 1450}},
	}
}

func TestNothingIsWrongOnAHealthyHost(t *testing.T) {
	got := Examine(healthy())
	if !got.Healthy || len(got.Findings) > 0 || len(got.Checked) != len(checks) {
		t.Errorf("a healthy host has the findings %v after %d of %d checks", got.Findings, len(got.Checked), len(checks))
	}
}

// Each fault is named by exactly one finding.
func TestFaultsAreNamed(t *testing.T) {
	conflict := problem.New(problem.PortConflict, problem.Found{Subject: "80/tcp", Reason: "taken"})
	cases := []struct {
		fault  string
		break_ func(*Facts)
		want   string // name, subject and reason
		remedy string // a part of it
	}{
		{"the kernel has no VXLAN", func(f *Facts) { f.Kernel.VXLAN = "kernel has no vxlan support" }, "kernel-lacks vxlan: kernel has no vxlan support", "modprobe vxlan"},
		{"a module is missing", func(f *Facts) { f.Kernel.Modules = map[string]string{"cls_bpf": "the policy"} },
			"kernel-lacks cls_bpf: the kernel 6.1.0 has no cls_bpf: the policy", "modprobe cls_bpf"},
		{"ip_forward is 0", func(f *Facts) { f.Kernel.Sysctls["net.ipv4.ip_forward"] = "0" },
			"forwarding-off net.ipv4.ip_forward: net.ipv4.ip_forward is 0", "sysctl -w net.ipv4.ip_forward=1"},
		{"a VPN routes a part of the pool", func(f *Facts) { f.Pools.Conflict = "100.64.0.0/10 overlaps 100.100.0.0/16 on tailscale0 (table 52)" },
			"pool-routed-elsewhere: 100.64.0.0/10 overlaps 100.100.0.0/16 on tailscale0 (table 52)", "--pool"},
		{"the firewall drops, and no linker is there to accept", func(f *Facts) {
			f.Drops = []Drop{{Place: "nftables inet site in", Why: "drops names by “policy drop”: no rule of the linker stands before it", Remedy: "start the linker"}}
		}, "firewall-drops nftables inet site in: drops names by “policy drop”: no rule of the linker stands before it", "start the linker"},
		{"a rule drops the pool", func(f *Facts) {
			f.Drops = []Drop{{Why: `the rule "-s 100.64.0.0/10 -j DROP" drops packets of the pool`, Pool: true}}
		},
			`pool-dropped: the rule "-s 100.64.0.0/10 -j DROP" drops packets of the pool`, "remove that rule"},
		{"the resolver is in the pool", func(f *Facts) { f.Pools.Resolvers = []netip.Addr{netip.MustParseAddr("100.100.2.136")} },
			"pool-has-resolver 100.100.2.136: the name server 100.100.2.136 of this host has an address of the pool 100.64.0.0/10", "--pool"},
		{"the underlay carries less than the overlay needs", func(f *Facts) { f.Network.UnderlayMTU = 1400 },
			"mtu-too-small: tombolo0 carries packets of 1450 bytes, but eth0 of 1400: with 50 bytes of VXLAN they do not fit", "one MTU"},
		{"a peer has another MTU", func(f *Facts) { f.Peers[0].MTU = 8950 },
			"mtu-too-small h2: the overlay of h2 carries packets of 8950 bytes, and that of this host 1450", "one MTU"},
		{"the disk is full", func(f *Facts) { f.Disks[0].Free = 1 << 20 }, "disk-low /var/lib/docker: 1 MiB of 20480 MiB are free", "make room"},
		{"no inode is free", func(f *Facts) { f.Disks[0].FreeInodes = 0 }, "disk-low /var/lib/docker: 0 of 1000 inodes are free", "make room"},
		{"the disk is read-only", func(f *Facts) { f.Disks[0].ReadOnly = true }, "disk-low /var/lib/docker: the file system is read-only", "make room"},
		{"no time service runs", func(f *Facts) { f.Clock.Synchronised = false },
			"clock-unsynchronised: the kernel says that no time service keeps the clock right", "chrony"},
		{"Docker is stopped", func(f *Facts) { f.Docker = Docker{Error: "Cannot connect to the Docker daemon"} },
			"docker-unreachable: Cannot connect to the Docker daemon", "start Docker"},
		{"Docker is too old", func(f *Facts) { f.Docker.Version = "19.03.8" }, "docker-too-old: the Docker Engine has the version 19.03.8", "20.10"},
		{"the linker is stopped", func(f *Facts) { f.Linker, f.NoReply, f.Names, f.Peers = nil, "no such file", nil, nil }, "linker-down: no such file", "systemctl start tombolo-linker"},
		{"the Docker network is missing", func(f *Facts) { f.Docker.Driver = "" }, "network-missing: Docker has no network with the name tombolo", "restart the linker"},
		{"the Docker network is a bridge", func(f *Facts) { f.Docker.Driver = "bridge" }, "network-missing: Docker's network tombolo has the driver bridge", "docker network rm tombolo"},
		{"the plugin socket does not answer", func(f *Facts) { f.Docker.Plugin = "connection refused" }, "plugin-silent: connection refused", "--plugin-dir"},
		{"containers get no answers to DNS queries", func(f *Facts) { f.Names[0].Error = "i/o timeout" }, "names-unanswered web: i/o timeout", "port 53"},
		{"one container gets no answers", func(f *Facts) { f.Names = append(f.Names, Names{Container: "vpn", Error: "i/o timeout"}) },
			"container-unanswered vpn: i/o timeout", "this container alone"},
		{"a peer's linker is stopped", func(f *Facts) { f.Peers[0].State = "suspended" },
			"peer-silent h2: the linker of h2 (198.18.0.12) does not answer the gossip", "port 7980"},
		{"a peer has an outage", func(f *Facts) { f.Peers[0].Troubles = []string{"UDP port 8480 is blocked"} }, "peer-in-trouble h2: UDP port 8480 is blocked", "on h2: tombolo doctor"},
		{"the linker reports a problem", func(f *Facts) { f.Linker.Problems = []problem.Problem{conflict} }, "port-conflict 80/tcp: taken", "another port"},
	}
	covered := map[string]bool{}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			f := healthy()
			c.break_(&f)
			got := Examine(f)
			var texts []string
			for _, found := range got.Findings {
				text, _, _ := strings.Cut(found.String(), " (")
				texts = append(texts, strings.TrimSuffix(text, " ("))
				covered[found.Name] = true
			}
			want, _, _ := strings.Cut(c.want, " (")
			if diff := cmp.Diff([]string{want}, texts); diff != "" {
				t.Fatalf("doctor names something else (-want +got):\n%s", diff)
			}
			if !strings.Contains(got.Findings[0].Remedy, c.remedy) || !strings.Contains(got.Findings[0].String(), c.want) {
				t.Errorf("the finding is %q, want %q with a remedy that says %q", got.Findings[0], c.want, c.remedy)
			}
			if notice := got.Findings[0].Severity == problem.Notice; got.Healthy != notice {
				t.Errorf("the host is healthy: %v, with a finding of the severity %s", got.Healthy, got.Findings[0].Severity)
			}
		})
	}
	for _, c := range checks {
		if !covered[c.kind.Name] {
			t.Errorf("no case of this test has a finding of %s", c.kind.Name)
		}
	}
}

func TestTheLinkersOwnProblemIsNotRepeated(t *testing.T) {
	f := healthy()
	f.Docker = Docker{Error: "connection refused"}
	f.Linker.Problems = []problem.Problem{problem.New(problem.DockerUnreachable, problem.Found{Reason: "not connected to Docker"})}
	got := Examine(f)
	if len(got.Findings) != 1 || got.Findings[0].Reason != "not connected to Docker" {
		t.Errorf("doctor finds %v, want the linker's problem once", got.Findings)
	}
}

// The linker knows more: which rule drops the queries.
func TestTheLinkerNamesContainersWithoutAnswers(t *testing.T) {
	for _, kind := range []problem.Kind{problem.NamesUnanswered, problem.ContainerUnanswered} {
		f := healthy()
		f.Names = []Names{{Container: "web", Error: "i/o timeout"}}
		f.Linker.Problems = []problem.Problem{problem.New(kind, problem.Found{Subject: "web", Reason: "dropped by a rule"})}
		if got := Examine(f); len(got.Findings) != 1 || got.Findings[0].Reason != "dropped by a rule" {
			t.Errorf("doctor finds %v, want the linker's %s once", got.Findings, kind.Name)
		}
	}
}

func TestWithoutALinkerTheRestIsChecked(t *testing.T) {
	f := healthy()
	f.Linker, f.NoReply = nil, "no such file"
	f.Kernel.Sysctls["net.ipv4.ip_forward"] = "0"
	got := Examine(f)
	names := []string{}
	for _, found := range got.Findings {
		names = append(names, found.Name)
	}
	if !slices.Equal(names, []string{"forwarding-off", "linker-down"}) {
		t.Errorf("doctor finds %v, want that no linker runs, and that the kernel does not forward", names)
	}
}
