package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDockerFlags(t *testing.T) {
	for _, c := range []struct {
		name    string
		service Service
		want    []Flag
		args    []string
	}{
		{name: "a service without settings"},
		{
			name:    "a command",
			service: Service{Command: []string{"-x", "a b"}},
			args:    []string{"-x", "a b"},
		},
		{
			name:    "an entrypoint of several words",
			service: Service{Entrypoint: []string{"/bin/sh", "-c"}, Command: []string{"ls"}},
			want:    []Flag{{"entrypoint", "/bin/sh"}},
			args:    []string{"-c", "ls"},
		},
		{
			name:    "a cleared entrypoint",
			service: Service{ClearEntrypoint: true, Command: []string{"ls"}},
			want:    []Flag{{"entrypoint", ""}},
			args:    []string{"ls"},
		},
		{
			name: "flags are sorted",
			service: Service{
				Hostname: "h", StopSignal: "INT", StopGrace: 90 * time.Second,
				Environment: map[string]string{"B": "2", "A": "x=y"},
				Resources:   Resources{PIDsLimit: 7, MemLimit: 1 << 30, CPULimit: 1},
				Docker:      []Flag{{"user", "1"}, {"cap-add", "X"}},
			},
			want: []Flag{
				{"cap-add", "X"}, {"hostname", "h"},
				{"pids-limit", "7"}, {"stop-signal", "INT"}, {"stop-timeout", "90"}, {"user", "1"},
			},
		},
		{
			name:    "a grace period of less than a second",
			service: Service{StopGrace: 1},
			want:    []Flag{{"stop-timeout", "0"}},
		},
		{
			name:    "a health check of the shell",
			service: Service{Health: &Health{Test: []string{"CMD-SHELL", "a || b"}, Interval: time.Second, Retries: 3}},
			want:    []Flag{{"health-cmd", "a || b"}, {"health-interval", "1s"}, {"health-retries", "3"}},
		},
		{
			name:    "a health check of words is quoted for the shell",
			service: Service{Health: &Health{Test: []string{"CMD", "/check", "it's", "$HOME", ""}, Timeout: 1500 * time.Millisecond}},
			want:    []Flag{{"health-cmd", `exec /check 'it'\''s' '$HOME' ''`}, {"health-timeout", "1.5s"}},
		},
		{
			name:    "the image's health check with other times",
			service: Service{Health: &Health{StartPeriod: time.Minute, StartInterval: time.Second}},
			want:    []Flag{{"health-start-interval", "1s"}, {"health-start-period", "1m0s"}},
		},
		{
			name:    "a disabled health check",
			service: Service{Health: &Health{Test: []string{"NONE"}}},
			want:    []Flag{{"no-healthcheck", "true"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.service.DockerFlags()); diff != "" {
				t.Errorf("DockerFlags (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.args, c.service.Args()); diff != "" {
				t.Errorf("Args (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMountFlags(t *testing.T) {
	a := &App{
		Volumes: map[string]Volume{
			"nfs":  {Name: "shop_nfs", Driver: "local", Options: map[string]string{"o": "addr=192.0.2.1,rw", "type": "nfs"}, Labels: map[string]string{"a": "b"}},
			"old":  {Name: "old", External: true, Driver: "ignored"},
			"data": {Name: "shop_data"},
		},
		Services: map[string]Service{"web": {Mounts: []Mount{
			{Type: MountVolume, Source: "shop_nfs", Target: "/nfs", ReadOnly: true},
			{Type: MountVolume, Source: "old", Target: "/old"},
			{Type: MountVolume, Source: "shop_data", Target: "/data", Options: map[string]string{"volume-nocopy": "true"}},
			{Type: MountVolume, Target: "/anonymous"},
			{Type: MountBind, Source: "/a b", Target: "/x", Options: map[string]string{"bind-propagation": "rslave"}},
			{Type: MountBind, Source: "/a", Target: "/y", Create: true},
			{Type: MountBind, Source: "/a", Target: "/z", SELinux: "Z", ReadOnly: true, Options: map[string]string{"bind-propagation": "shared"}},
			{Type: MountTmpfs, Target: "/t", Options: map[string]string{"tmpfs-size": "10", "tmpfs-mode": "01777"}},
		}}},
	}
	want := []Flag{
		{"mount", `type=volume,source=shop_nfs,target=/nfs,readonly,volume-driver=local,"volume-opt=o=addr=192.0.2.1,rw",volume-opt=type=nfs,volume-label=a=b`},
		{"mount", "type=volume,source=old,target=/old"},
		{"mount", "type=volume,source=shop_data,target=/data,volume-nocopy=true"},
		{"mount", "type=volume,target=/anonymous"},
		{"mount", "type=bind,source=/a b,target=/x,bind-propagation=rslave"},
		{"volume", "/a:/y"},
		{"volume", "/a:/z:ro,Z,shared"},
		{"mount", "type=tmpfs,target=/t,tmpfs-mode=01777,tmpfs-size=10"},
	}
	if diff := cmp.Diff(want, a.MountFlags("web")); diff != "" {
		t.Errorf("MountFlags (-want +got):\n%s", diff)
	}
}

func TestReserveTakesTheDefaultWithinTheLimit(t *testing.T) {
	for _, c := range []struct {
		r    Resources
		cpus float64
		mem  int64
	}{
		{Resources{}, DefaultCPUs, DefaultMemBytes},
		{Resources{CPUs: 2, MemBytes: 1 << 30}, 2, 1 << 30},
		{Resources{CPULimit: 0.05, MemLimit: 32 << 20}, 0.05, 32 << 20},
		{Resources{CPULimit: 4, MemLimit: 1 << 30}, DefaultCPUs, DefaultMemBytes},
	} {
		if cpus, mem := c.r.Reserve(); cpus != c.cpus || mem != c.mem {
			t.Errorf("%+v reserves %v CPUs and %d bytes, want %v and %d", c.r, cpus, mem, c.cpus, c.mem)
		}
	}
}
