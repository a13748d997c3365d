package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
)

// everyKey has a value for each key that becomes a flag of docker run, and for those that the
// framework and the agent translate.
const everyKey = `
  all:
    image: %CHECKED%
    entrypoint: [/probe, serve]
    command: ["8080"]
    env_file: [one.env, {path: missing.env, required: false}]
    environment: {FROM_MAP: "a = 'b' $$c", OVER: environment}
    hostname: chosen
    domainname: example.internal
    user: "1234:2345"
    group_add: ["3456"]
    working_dir: /made
    cap_add: [NET_ADMIN]
    cap_drop: [CHOWN, MKNOD]
    ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 512}
    tmpfs: ["/scratch:size=1m"]
    read_only: true
    sysctls: {net.core.somaxconn: 256}
    security_opt: ["no-new-privileges:true"]
    extra_hosts: ["elsewhere:192.0.2.7"]
    init: true
    stop_signal: SIGINT
    stop_grace_period: 3s
    shm_size: 8m
    mem_limit: 64m
    memswap_limit: 64m
    mem_reservation: 32m
    cpus: 0.5
    pids_limit: 50
    oom_score_adj: 300
    labels: {team: "x, y"}
    logging: {driver: json-file, options: {max-size: 1m}}
    healthcheck: {interval: 700ms, timeout: 6s, retries: 4, start_period: 10s} # for the image's own check
    restart: on-failure:3
    depends_on: [words, cleared, tail]
    volumes:
      - data:/made
      - {type: bind, source: /var/lib/tombolo/resolv.conf, target: /names, read_only: true}
      - {type: tmpfs, target: /large, tmpfs: {size: 4096, mode: 448}}
  words:
    image: %IMAGE%
    entrypoint: /probe serve "80"
  cleared:
    image: %IMAGE%
    entrypoint: []
    command: [/probe, serve, "80"]
  tail:
    image: %IMAGE%
    command: serve '80'
volumes:
  data: {labels: {kept: "yes"}}
`

// The keys of the file reach the container: docker inspect shows them, and so do the facts that the
// container's process sees.
func TestKeysReachTheContainer(t *testing.T) {
	file := compose(t, "keys", everyKey)
	env := "FROM_FILE=\"two words\"\nOVER=file\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "one.env"), []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	up(t, file)
	for _, i := range allUp(t, "keys", 4) {
		c := inspect(t, i)
		if i.Service == "all" {
			if diff := cmp.Diff(everything(), c); diff != "" {
				t.Errorf("docker inspect (-want +got):\n%s", diff)
			}
			checkFacts(t, i)
			continue
		}
		if got := c.Path + " " + strings.Join(c.Args, " "); got != "/probe serve 80" {
			t.Errorf("%s runs %q, want /probe serve 80", i.Service, got)
		}
	}
}

// checkFacts checks the facts that a process of the container sees.
func checkFacts(t *testing.T, i api.Instance) {
	t.Helper()
	out := mustProbe(t, i, "facts")
	for _, fact := range []string{
		"user 1234 2345", "groups [2345 3456]", "hostname chosen", "directory /made", "nofile 2000", "writable / false",
		"env FROM_FILE=two words", "env FROM_MAP=a = 'b' $c", "env OVER=environment", "env TOMBOLO_SERVICE=all",
		"/proc/self/status NoNewPrivs: 1", "/proc/1/oom_score_adj 300", "/proc/sys/net/core/somaxconn 256",
		"/etc/hosts 192.0.2.7 elsewhere", "/proc/1/comm docker-init",
	} {
		if !strings.Contains("\n"+out+"\n", "\n"+fact+"\n") {
			t.Errorf("the container does not see %q:\n%s", fact, out)
		}
	}
}

// inspected is the part of `docker inspect` that a Compose file decides.
type inspected struct {
	Path       string
	Args       []string
	Config     engineConfig
	HostConfig engineHostConfig
	Mounts     []engineMount
}

type engineConfig struct {
	User, WorkingDir, Hostname, Domainname, StopSignal string
	StopTimeout                                        int
	Healthcheck                                        map[string]any
	Labels                                             map[string]string
}

type engineHostConfig struct {
	ReadonlyRootfs                                           bool
	CapAdd, CapDrop, SecurityOpt, ExtraHosts, GroupAdd       []string
	Tmpfs, Sysctls                                           map[string]string
	Ulimits                                                  []engineUlimit
	Init                                                     bool
	ShmSize, Memory, MemorySwap, MemoryReservation, CPUQuota int64
	PidsLimit, OomScoreAdj                                   int64
	NetworkMode                                              string
	LogConfig                                                engineLogConfig
	RestartPolicy                                            map[string]any
}

type engineUlimit struct {
	Name       string
	Hard, Soft int64
}

type engineLogConfig struct {
	Type   string
	Config map[string]string
}

type engineMount struct {
	Type, Name, Destination string
	RW                      bool
}

func everything() inspected {
	return inspected{
		Path: "/probe", Args: []string{"serve", "8080"},
		Config: engineConfig{
			User: "1234:2345", WorkingDir: "/made", Hostname: "chosen", Domainname: "example.internal", StopSignal: "SIGINT",
			StopTimeout: 3, Labels: map[string]string{"team": "x, y"},
			Healthcheck: map[string]any{
				"Test": []any{"CMD", "/probe", "check"}, "Interval": 0.7e9, "Timeout": 6e9, "StartPeriod": 10e9, "Retries": 4.,
			},
		},
		HostConfig: engineHostConfig{
			ReadonlyRootfs: true, CapAdd: []string{"NET_ADMIN"}, CapDrop: []string{"CHOWN", "MKNOD"},
			SecurityOpt: []string{"no-new-privileges:true"}, ExtraHosts: []string{"elsewhere:192.0.2.7"}, GroupAdd: []string{"3456"},
			Tmpfs: map[string]string{"/scratch": "size=1m"}, Sysctls: map[string]string{"net.core.somaxconn": "256"},
			Ulimits: []engineUlimit{{"nofile", 2000, 1000}, {"nproc", 512, 512}}, Init: true,
			ShmSize: 8 << 20, Memory: 64 << 20, MemorySwap: 64 << 20, MemoryReservation: 32 << 20, CPUQuota: 50_000,
			PidsLimit: 50, OomScoreAdj: 300, NetworkMode: "tombolo",
			LogConfig:     engineLogConfig{"json-file", map[string]string{"max-size": "1m"}},
			RestartPolicy: map[string]any{"Name": "no", "MaximumRetryCount": 0.}, // the framework restarts
		},
		Mounts: []engineMount{
			{"bind", "", "/names", false}, {"tmpfs", "", "/large", true}, {"volume", "keys_data", "/made", true},
		},
	}
}

// inspect returns docker inspect's view of a container, without the labels and mounts that every
// container has.
func inspect(t *testing.T, i api.Instance) inspected {
	t.Helper()
	h, err := testLab.Host(i.Host)
	if err != nil {
		t.Fatal(err)
	}
	out, err := docker(t.Context(), *h, "inspect", i.Container)
	if err != nil {
		t.Fatalf("docker inspect of %s: %v: %s", i.Service, err, out)
	}
	var list []inspected
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 1 {
		t.Fatalf("docker inspect returned %d containers, want 1: %v", len(list), err)
	}
	c := list[0]
	for _, list := range [][]string{c.HostConfig.CapAdd, c.HostConfig.CapDrop} {
		for i, name := range list { // some Engines add this prefix
			list[i] = strings.TrimPrefix(name, "CAP_")
		}
	}
	maps.DeleteFunc(c.Config.Labels, func(name, _ string) bool { return strings.HasPrefix(name, "tombolo.") || name == "MESOS_TASK_ID" })
	c.Mounts = slices.DeleteFunc(c.Mounts, func(m engineMount) bool {
		return m.Destination == "/etc/resolv.conf" || m.Destination == "/mnt/mesos/sandbox"
	})
	slices.SortFunc(c.Mounts, func(a, b engineMount) int { return strings.Compare(a.Type, b.Type) })
	slices.SortFunc(c.HostConfig.Ulimits, func(a, b engineUlimit) int { return strings.Compare(a.Name, b.Name) })
	return c
}
