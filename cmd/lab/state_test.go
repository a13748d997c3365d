package lab

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tombolo/cmd/clusterfile"
	"tombolo/framework/api"
)

func TestHostsAreFoundByName(t *testing.T) {
	l := plan(Config{Hosts: 3, Binary: "/b", NoIPv6: true})
	h, err := l.Host("h2")
	if err != nil || h.Underlay.String() != "198.18.0.12" {
		t.Errorf("host h2 is %+v (%v), want the address 198.18.0.12", h, err)
	}
	if _, err := l.Host("h4"); err == nil || !strings.Contains(err.Error(), `no host "h4" in this lab (its hosts: h1, h2, h3)`) {
		t.Errorf("a host that does not exist gives the error %v, want one that lists the hosts", err)
	}
	command := "/b linker --host h2 --underlay 198.18.0.12 --join 198.18.0.11 --join 198.18.0.13"
	if diff := cmp.Diff(strings.Fields(command), l.linkerCommand(h)); diff != "" {
		t.Errorf("command line of the linker of h2 (-want +got):\n%s", diff)
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{Config{Hosts: 3, Binary: "/bin/tombolo"}, nil},
		{Config{Hosts: 0, Binary: "/bin/tombolo"}, []string{"hosts: 0 is not in 1..50"}},
		{Config{Hosts: 51, Binary: "tombolo"}, []string{"hosts: 51", `binary: "tombolo"`}},
		{Config{Hosts: 1, Binary: "/bin/tombolo", Engine: map[string]any{"live-restore": true, "exec-opts": nil, "cgroup-parent": "x"}},
			[]string{"the lab itself sets exec-opts", "the lab itself sets cgroup-parent"}},
	} {
		err := c.cfg.Validate()
		if (err == nil) != (c.want == nil) {
			t.Errorf("%+v gives the error %v, want the problems %q", c.cfg, err, c.want)
		}
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%+v gives the error %v, which does not contain %q", c.cfg, err, w)
			}
		}
	}
}

func TestTheStateFileKeepsTheWholeLab(t *testing.T) {
	l := plan(Config{Hosts: 2, Binary: "/b", NoControl: true})
	l.Registry, l.Ready, l.RegistryPush = Process{PID: 7, Start: "8"}, true, registryPush
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var back Lab
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*l, back, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("lab before and after (-want +got):\n%s", diff)
	}
}

func TestHostsShareProcessorsAndDivideTheMemory(t *testing.T) {
	l := plan(Config{Hosts: 2})
	l.RegistryPush = registryPush
	c := l.cluster(8 << 30)
	want := clusterfile.Host{
		Name: "h2", Docker: "unix:///run/tombolo/lab/h2/docker.sock", Linker: "/run/tombolo/lab/h2/tombolo/linker.sock",
		Underlay: "198.18.0.12", WorkDir: l.Disk + "/h2/agent", CPUs: float64(runtime.NumCPU()), MemBytes: 4 << 30,
	}
	if diff := cmp.Diff(want, c.Hosts[1]); diff != "" {
		t.Errorf("h2 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&api.Registry{Push: "127.0.0.1:7979", Pull: "198.18.0.1:5000"}, c.Registry); diff != "" {
		t.Errorf("registry (-want +got):\n%s", diff)
	}
	if mem, err := memTotal(); err != nil || mem < 64<<20 {
		t.Errorf("the memory of this machine is %d bytes (%v), want more than 64 MiB", mem, err)
	}
}

func TestMissingNamesTheServicesThatHaveEnded(t *testing.T) {
	alive := sleeper(t)
	for name, c := range map[string]struct {
		lab    Lab
		want   []string
		usable bool
	}{
		"whole":           {Lab{Ready: true, Registry: alive, Control: alive, Hosts: []Host{{Init: alive}}}, nil, true},
		"half made":       {Lab{Registry: alive, Hosts: []Host{{Init: alive}}}, []string{"control daemon"}, false},
		"no control":      {Lab{Ready: true, NoControl: true, Registry: alive, Hosts: []Host{{Init: alive}}}, nil, true},
		"engines only":    {Lab{Ready: true, NoLinker: true, Hosts: []Host{{}, {Init: alive}}}, []string{"registry"}, true},
		"after a reboot":  {Lab{Ready: true, Hosts: []Host{{}}}, []string{"registry", "control daemon"}, false},
		"control is dead": {Lab{Ready: true, Registry: alive, Hosts: []Host{{Init: alive}}}, []string{"control daemon"}, true},
	} {
		if diff := cmp.Diff(c.want, c.lab.Missing()); diff != "" {
			t.Errorf("%s: missing (-want +got):\n%s", name, diff)
		}
		if got := c.lab.usable(); got != c.usable {
			t.Errorf("%s: usable is %v, want %v", name, got, c.usable)
		}
	}
}

// sleeper starts a process that ends with the test.
func sleeper(t *testing.T) Process {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return newProcess(cmd.Process.Pid)
}

func TestALabIsUsableWhileAHostAndItsOwnerLive(t *testing.T) {
	live := newProcess(os.Getpid())
	hosts := []Host{{Name: "h1", Init: live}, {Name: "h2"}}
	for _, c := range []struct {
		name string
		lab  Lab
		want bool
	}{
		{"half made", Lab{Hosts: hosts}, false},
		{"up", Lab{Ready: true, Hosts: hosts}, true},
		{"every host dead", Lab{Ready: true, Hosts: hosts[1:]}, false},
		{"of a run that goes on", Lab{Ready: true, Hosts: hosts, Owner: live}, true},
		{"of a run that was killed", Lab{Ready: true, Hosts: hosts, Owner: Process{PID: live.PID, Start: "1"}}, false},
	} {
		if got := c.lab.usable(); got != c.want {
			t.Errorf("%s: usable is %v, want %v", c.name, got, c.want)
		}
	}
}
