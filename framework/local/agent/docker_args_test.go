package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// recordedRun is a line of docker-map.jsonl: a task, and the docker command of an agent of
// Apache Mesos.
type recordedRun struct {
	Task     string          `json:"task"`
	Request  string          `json:"request"`
	TaskInfo json.RawMessage `json:"task_info"`
	Argv     []string        `json:"docker_argv"`
}

// Every recorded task must give the recorded docker command. Lines without a task are
// left out (task_info is null): the important ones were recorded again with their task.
func TestDockerArgsAreThoseOfMesos(t *testing.T) {
	compared, without := 0, 0
	for _, rec := range recordedRuns(t) {
		if string(rec.TaskInfo) == "null" {
			without++
			continue
		}
		compared++
		t.Run(rec.Task, func(t *testing.T) {
			args, hidden, err := dockerArgs(dockerRun{
				Host:        rec.Argv[1],
				Task:        recordedTask(t, rec),
				ContainerID: strings.TrimPrefix(after(rec.Argv, "--name"), namePrefix),
				Sandbox:     sandboxOf(rec.Argv),
				MemTotal:    64 << 30,
			})
			if err != nil {
				t.Fatal(err)
			}
			// Mesos passes variables and labels as arguments.
			if diff := cmp.Diff(sortedOut(rec.Argv, nil), sortedOut(args, &hidden)); diff != "" {
				t.Errorf("docker command (-recorded +got):\n%s", diff)
			}
		})
	}
	if compared < 75 || without > 20 {
		t.Errorf("%d docker commands were compared and %d have no task, want at least 75 and at most 20", compared, without)
	}
}

func TestDockerArgsRefusesInMesosWords(t *testing.T) {
	const image = `"docker":{"image":"i","network":`
	for _, c := range []struct{ name, container, command, resources, want string }{
		{"user network without info", image + `"USER"}`, "", "", "No network info found in container info"},
		{"two networks", image + `"USER"},"network_infos":[{"name":"a"},{"name":"b"}]`, "", "", "Only a single network can be defined in Docker run"},
		{"network without name", image + `"USER"},"network_infos":[{}]`, "", "", "No network name found in network info"},
		{"ports without resources", image + `"BRIDGE","port_mappings":[{"host_port":1,"container_port":2}]}`, "", "", "Port mappings require port resources"},
		{"ports on the host", image + `"HOST","port_mappings":[{"host_port":1,"container_port":2}]}`, "", "", "Port mappings are only supported for bridge and user-defined networks"},
		{"port not in the resources", image + `"BRIDGE","port_mappings":[{"host_port":0,"container_port":80}]}`, "",
			`{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":5,"end":6}]}}`, "Port [0] not included in resources"},
		{"hostname on the host", image + `"HOST"},"hostname":"h"`, "", "", "Unable to set hostname with host network mode"},
		{"two drivers", image + `"BRIDGE","volume_driver":"x"},"volumes":[{"container_path":"/v","mode":"RW","source":{"type":"DOCKER_VOLUME","docker_volume":{"name":"n","driver":"y"}}}]`,
			"", "", "Only one volume driver is supported"},
		{"shell without value", image + `"HOST"}`, `{"shell":true}`, "", "Shell specified but no command value provided"},
		{"empty command", image + `"HOST"}`, `{}`, "", "Shell specified but no command value provided"},
	} {
		t.Run(c.name, func(t *testing.T) {
			command := c.command
			if command == "" {
				command = `{"shell":true,"value":"true"}`
			}
			task := decodeTask(t, `{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"a"},"resources":[`+c.resources+
				`],"command":`+command+`,"container":{"type":"DOCKER",`+c.container+`}}`)
			_, _, err := dockerArgs(dockerRun{Task: task, ContainerID: "c", Sandbox: "/s"})
			if err == nil || err.Error() != c.want {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestOOMScoreAdj(t *testing.T) {
	for _, c := range []struct {
		request, total int64
		want           int
	}{
		{32 << 20, 64 << 30, 999},
		{1 << 30, 4 << 30, 750},
		{4 << 30, 4 << 30, 2},
		{1, 0, 999},
	} {
		if got := oomScoreAdj(c.request, c.total); got != c.want {
			t.Errorf("oomScoreAdj(%d, %d) = %d, want %d", c.request, c.total, got, c.want)
		}
	}
}

// command is a docker command, with its variables and labels apart.
type command struct{ Args, Variables, Labels []string }

// sortedOut takes the variables and labels out of the arguments or the secrets.
func sortedOut(argv []string, hidden *secrets) (c command) {
	for i := 0; i < len(argv); i++ {
		label, isLabel := strings.CutPrefix(argv[i], "--label=")
		file, isLabels := strings.CutPrefix(argv[i], "--label-file=")
		switch {
		case argv[i] == "-e" && strings.Contains(argv[i+1], "="):
			i++
			c.Variables = append(c.Variables, argv[i])
		case argv[i] == "-e":
			i++
			value := slices.IndexFunc(hidden.env, func(v string) bool { return strings.HasPrefix(v, argv[i]+"=") })
			c.Variables = append(c.Variables, hidden.env[value])
		case argv[i] == "--env-file":
			i++
			c.Variables = append(c.Variables, hidden.lines(argv[i])...)
		case isLabel:
			c.Labels = append(c.Labels, label)
		case isLabels:
			c.Labels = append(c.Labels, hidden.lines(file)...)
		default:
			c.Args = append(c.Args, argv[i])
		}
	}
	slices.Sort(c.Variables)
	return c
}

func (s *secrets) lines(file string) []string {
	var number int
	if _, err := fmt.Sscanf(file, "/proc/self/fd/%d", &number); err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimSuffix(s.files[number-firstFile], "\n"), "\n")
}

func recordedRuns(t *testing.T) []recordedRun {
	t.Helper()
	data, err := os.ReadFile("testdata/docker-map.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var runs []recordedRun
	for line := range bytes.Lines(data) {
		var r recordedRun
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	return runs
}

// recordedTask decodes a task as the master does: an unknown network becomes the default
// network, a limit may be "Infinity", and the resources get the role of their offer.
func recordedTask(t *testing.T, rec recordedRun) mesos.TaskInfo {
	t.Helper()
	var loose map[string]any
	if err := json.Unmarshal(rec.TaskInfo, &loose); err != nil {
		t.Fatal(err)
	}
	if d := loose["container"].(map[string]any)["docker"].(map[string]any); d["network"] == "BOGUS" {
		delete(d, "network")
	}
	infinite := map[string]mesos.Value_Scalar{}
	limits, _ := loose["limits"].(map[string]any)
	for name, l := range limits {
		if l.(map[string]any)["value"] == "Infinity" {
			infinite[name] = mesos.Value_Scalar{Value: math.Inf(1)}
			delete(limits, name)
		}
	}
	strict, err := json.Marshal(loose)
	if err != nil {
		t.Fatal(err)
	}
	task := decodeTask(t, string(strict))
	if len(infinite) > 0 {
		task.Limits = infinite
	}
	for _, a := range rec.Argv {
		if role, ok := strings.CutPrefix(a, "MESOS_ALLOCATION_ROLE="); ok {
			for i := range task.Resources {
				task.Resources[i].AllocationInfo = &mesos.Resource_AllocationInfo{Role: &role}
			}
		}
	}
	return task
}

func decodeTask(t *testing.T, s string) mesos.TaskInfo {
	t.Helper()
	var task mesos.TaskInfo
	if err := json.Unmarshal([]byte(s), &task); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return task
}

func after(argv []string, flag string) string {
	return argv[slices.Index(argv, flag)+1]
}

func sandboxOf(argv []string) string {
	for _, a := range argv {
		if dir, ok := strings.CutSuffix(a, ":"+sandboxMount); ok {
			return dir
		}
	}
	return ""
}
