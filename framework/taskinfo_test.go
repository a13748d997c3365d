package framework

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
	"tombolo/framework/mesos/wire"
	"tombolo/framework/store"
	"tombolo/linker/record"
)

var update = flag.Bool("update", false, "write the golden files again")

// everything returns a service that has every field which a task depends on, and a task.
func everything() (app.App, *task) {
	s := app.Service{
		Name: "web", Image: "nginx:1", PullPolicy: "always", Replicas: 2, ContainerName: "front", Hostname: "web-host",
		Entrypoint: []string{"/entry", "--flag"}, Command: []string{"run", "a b"},
		Environment: map[string]string{"B": "2", "A": "1=1"}, Labels: map[string]string{"team": "x"},
		DNSRR: true, Interface: "front0",
		Networks: map[string][]string{"shop_default": {"www"}}, Links: []app.Link{{Service: "db", Alias: "database"}},
		Export: &app.Export{To: []string{"blog"}}, Expose: []app.Expose{{Number: 80, Proto: "tcp", Name: "http"}},
		Mounts: []app.Mount{
			{Type: app.MountVolume, Source: "shop_data", Target: "/data", ReadOnly: true, Options: map[string]string{"volume-nocopy": "true"}},
			{Type: app.MountBind, Source: "/srv/a", Target: "/a", Create: true, ReadOnly: true, SELinux: "z"},
			{Type: app.MountBind, Source: "/srv/b", Target: `/b,"c"`},
			{Type: app.MountTmpfs, Target: "/tmp", Options: map[string]string{"tmpfs-size": "1024"}},
		},
		Health: &app.Health{
			Test:     []string{"CMD", "curl", "-f", "it's"},
			Interval: 5 * time.Second, Timeout: time.Second, Retries: 3, StartPeriod: 90 * time.Second,
		},
		Resources:  app.Resources{CPUs: 0.5, MemBytes: 128 << 20, CPULimit: 1.5, MemLimit: 256 << 20, PIDsLimit: 100},
		StopSignal: "SIGQUIT", StopGrace: 30 * time.Second,
		Docker: []app.Flag{{Name: "cap-add", Value: "NET_ADMIN"}, {Name: "init", Value: "true"}},
	}
	wanted := app.App{Name: "shop", Strict: true, Services: map[string]app.Service{"web": s}, Volumes: map[string]app.Volume{
		"data": {Name: "shop_data", Options: map[string]string{"type": "none"}, Labels: map[string]string{"keep": "yes"}},
	}}
	return wanted, &task{Task: store.Task{
		ID: "shop.web.2.g3", App: "shop", Service: "web", Slot: 2, Generation: 3, Agent: "S1", Host: "h1",
		Ports: []app.Port{
			{Host: 9999, Target: 80, Proto: "tcp", Mode: app.ModeIngress}, // the linkers publish it, not the container
			{Host: 8080, Target: 80, Proto: "tcp"}, {Host: 31005, Target: 81, Proto: "udp", HostIP: "127.0.0.1"},
			{Host: 9090, Target: 90, Proto: "tcp", HostIP: "::1"}, {Host: 3000, Last: 3005, Target: 91, Proto: "tcp"},
		},
	}}
}

func TestTaskInfoIsAsInTheGoldenFile(t *testing.T) {
	plain := app.App{Name: "shop", Services: map[string]app.Service{"web": {
		Name: "web", Image: "nginx:1", NetworkMode: app.NetworkNone, ClearEntrypoint: true,
		Health: &app.Health{Test: []string{"NONE"}}, Resources: app.Resources{MemLimit: 16 << 20},
	}}}
	full, t3 := everything()
	t1 := &task{Task: store.Task{ID: "shop.web.1.g1", App: "shop", Service: "web", Slot: 1, Generation: 1, Agent: "S1"}}
	mode := func(name string) app.App {
		return app.App{Name: "shop", Services: map[string]app.Service{"web": {Name: "web", Image: "nginx:1", NetworkMode: name}}}
	}
	onBridge := &task{Task: t1.Task}
	onBridge.Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}
	tests := []struct {
		name string
		info mesos.TaskInfo
	}{
		{"everything", taskInfo(t3, full, true, []uint16{31005})},
		{"plain", taskInfo(t1, plain, true, nil)},
		{"host", taskInfo(t1, mode(app.NetworkHost), true, nil)},
		{"bridge", taskInfo(onBridge, mode(app.NetworkBridge), true, nil)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			golden(t, tt.name+".json", tt.info)
		})
	}
}

func golden(t *testing.T, name string, info mesos.TaskInfo) {
	t.Helper()
	raw, err := wire.Marshal(&info)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(tree); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "task", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s, to be refreshed with -update (-want +got):\n%s", path, diff)
	}
}

func TestReservationHasDefaultsAndMinimums(t *testing.T) {
	tests := []struct {
		name string
		in   app.Resources
		want reserved
	}{
		{"neither reservation nor limit", app.Resources{}, reserved{0.1, 64 << 20}},
		{"reserved", app.Resources{CPUs: 2, MemBytes: 1 << 30, CPULimit: 1}, reserved{2, 1 << 30}},
		{"limits below the defaults", app.Resources{CPULimit: 0.05, MemLimit: 48 << 20}, reserved{0.05, 48 << 20}},
		{"less than Mesos accepts", app.Resources{CPUs: 0.001, MemBytes: 1 << 20}, reserved{0.01, 32 << 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := reservation(app.Service{Resources: tt.in}); got != tt.want {
				t.Errorf("reservation returned %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestReasonsOfEndedTasks(t *testing.T) {
	tests := []struct {
		name, message string
		state         mesos.TaskState
		reason        string
		exit          int
		fatal         bool
	}{
		{"pull", `Failed to launch container: Failed to run '/usr/bin/docker -H unix:///var/run/docker.sock pull nosuch.invalid/x:1': exited with status 1; stderr='Error response from daemon: Get "https://nosuch.invalid/v2/": no such host` + "\n'", mesos.TASK_FAILED,
			`image nosuch.invalid/x:1 cannot be pulled: Get "https://nosuch.invalid/v2/": no such host`, 0, true},
		{
			"an image that was built here", "Failed to launch container: image tombolo.internal/shop/web:0123456789ab is not on this host", mesos.TASK_FAILED,
			"image tombolo.internal/shop/web:0123456789ab is not on this host any more (to build it again: tombolo up)", 0, true,
		},
		{
			"an image that the file forbids to pull", "Failed to launch container: image nginx:1 is not on this host", mesos.TASK_FAILED,
			"image nginx:1 is not on this host, and its service never pulls it", 0, true,
		},
		{"exit", "Container exited with status 137", mesos.TASK_FAILED, "exited with status 137", 137, false},
		{"exit 0", "Container exited with status 0", mesos.TASK_FINISHED, "exited with status 0", 0, false},
		{"docker", "Container exited with status 125: port is already allocated", mesos.TASK_FAILED,
			"Container exited with status 125: port is already allocated", 125, false},
		{"invalid", "Task uses no resources", mesos.TASK_ERROR, "Task uses no resources", 0, true},
		{"nothing", "", mesos.TASK_GONE, "gone", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reason, exit, fatal := explain(mesos.TaskStatus{State: &tt.state, Message: &tt.message})
			if reason != tt.reason || exit != tt.exit || fatal != tt.fatal {
				t.Errorf("explain returned %q, exit %d, fatal %v; want %q, exit %d, fatal %v", reason, exit, fatal, tt.reason, tt.exit, tt.fatal)
			}
		})
	}
}

// Agents do not pull an image that is named by its ID, or that only this machine has: they would
// ask registries for a name that no registry has.
func TestImagesThatAreNeverPulled(t *testing.T) {
	for image, want := range map[string]bool{
		"tombolo.internal/shop/web:0123456789ab": true, "sha256:" + strings.Repeat("0", 64): true, "nginx:1": false,
	} {
		wanted := app.App{Name: "shop", Services: map[string]app.Service{"web": {Name: "web", Image: image}}}
		info := taskInfo(&task{Task: store.Task{App: "shop", Service: "web"}}, wanted, true, nil)
		never := slices.Contains(info.Container.Docker.Parameters, mesos.Parameter{Key: "pull", Value: "never"})
		if never != want {
			t.Errorf("a task with the image %s is never pulled: %v, want %v", image, never, want)
		}
	}
}

func TestAnAppThatIsValidFitsIntoItsRecord(t *testing.T) {
	if app.MaxItems > record.MaxItems || app.MaxServices > record.MaxServices || app.MaxReplicas > record.MaxSlots {
		t.Error("package app allows more items, services or replicas than an app record may have")
	}
}

func TestCPUQuotaIsAlwaysSet(t *testing.T) {
	for _, c := range []struct {
		name string
		s    app.Service
		want []mesos.Parameter
	}{
		{"none", app.Service{}, []mesos.Parameter{{Key: "cpu-quota", Value: "0"}}},
		{"a limit", app.Service{Resources: app.Resources{CPULimit: 1.5}}, []mesos.Parameter{{Key: "cpu-quota", Value: "150000"}}},
		{"less than Docker accepts", app.Service{Resources: app.Resources{CPULimit: 0.001}}, []mesos.Parameter{{Key: "cpu-quota", Value: "1000"}}},
		{"a quota in the file", app.Service{Docker: []app.Flag{{Name: "cpu-quota", Value: "7000"}}}, []mesos.Parameter{{Key: "cpu-quota", Value: "7000"}}},
		{
			"a period in the file", app.Service{Docker: []app.Flag{{Name: "cpu-period", Value: "50000"}}},
			[]mesos.Parameter{{Key: "cpu-period", Value: "50000"}, {Key: "cpu-quota", Value: "0"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &flags{}
			p.addAll(c.s.DockerFlags())
			p.limits(c.s.Resources)
			got := slices.DeleteFunc(p.list, func(f mesos.Parameter) bool { return !strings.HasPrefix(f.Key, "cpu-") })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("CPU flags (-want +got):\n%s", diff)
			}
		})
	}
}
