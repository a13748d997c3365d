package agent

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// fakeDocker prints what every user of the host can read of it, the variables that it is asked
// for, and the files that it is given.
const fakeDocker = `#!/bin/sh
echo "arguments: $(tr '\0\n' '  ' </proc/$$/cmdline)"
while [ $# -gt 0 ]; do
	case $1 in
	-e) shift; eval "echo \"variable: $1=\$$1\"";;
	--env-file) shift; sed 's/^/in file: /' "$1";;
	--label-file=*) sed 's/^/label: /' "${1#*=}";;
	esac
	shift
done
echo "own: $HTTPS_PROXY $HOME"
`

func TestSecretsAreNotOnTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(fakeDocker), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("HOME", "/agents-home")
	t.Setenv("HTTPS_PROXY", "")
	args, hidden, err := dockerArgs(dockerRun{ContainerID: "c", Sandbox: "/s", Task: taskWith(
		map[string]string{"PASSWORD": "hunter2", "KEY": "-----BEGIN\nhunter3", "HTTPS_PROXY": "http://u:hunter4@proxy", "HOME": "/data"},
		"auth=admin:hunter5", "tombolo.app=shop",
	)})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := NewDocker("unix:///nowhere.sock")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if exit, err := engine.Run(context.Background(), Command{Args: args, Secrets: hidden, Stdout: &out, Stderr: &out}); exit != 0 || err != nil {
		t.Fatalf("docker ended with %d, %v: %s", exit, err, out.String())
	}
	line, rest, _ := strings.Cut(out.String(), "\n")
	if strings.Contains(line, "hunter") {
		t.Errorf("every user of the host can read a secret in: %s", line)
	}
	want := `variable: KEY=-----BEGIN
hunter3
variable: MESOS_CONTAINER_NAME=mesos-c
variable: MESOS_SANDBOX=/mnt/mesos/sandbox
variable: PASSWORD=hunter2
in file: HOME=/data
in file: HTTPS_PROXY=http://u:hunter4@proxy
label: auth=admin:hunter5
label: tombolo.app=shop
own:  /agents-home
`
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("docker got other values (-want +got):\n%s", diff)
	}
}

func TestAVariableThatDockerReadsAndNoFileHoldsIsRefused(t *testing.T) {
	for _, value := range []string{"/x.so:\n", "x\r", "\xff", strings.Repeat("x", 70_000)} {
		_, _, err := dockerArgs(dockerRun{ContainerID: "c", Sandbox: "/s", Task: taskWith(map[string]string{"LD_PRELOAD": value})})
		if err == nil || !strings.Contains(err.Error(), "the variable LD_PRELOAD itself") {
			t.Errorf("LD_PRELOAD=%.20q: the error is %v, want one that names the variable", value, err)
		}
	}
}

func TestOfLabelsWithOneNameTheLastCounts(t *testing.T) {
	for _, c := range []struct {
		name         string
		labels, want []string
	}{
		{"in the file", []string{"a=1", "b=2", "a=3"}, []string{"b=2", "a=3"}},
		{"when only the first one fits no line", []string{"a=1\n2", "a=3"}, []string{"a=3"}},
		{"when only the last one fits no line", []string{"a=3", "b=2", "a=1\n2"}, []string{"b=2", "a=1\n2"}},
		{"without a value", []string{"a"}, []string{"a="}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, hidden, err := dockerArgs(dockerRun{ContainerID: "c", Sandbox: "/s", Task: taskWith(nil, c.labels...)})
			if err != nil {
				t.Fatal(err)
			}
			args, _, _ := dockerArgs(dockerRun{ContainerID: "c", Sandbox: "/s", Task: taskWith(nil, c.labels...)})
			if diff := cmp.Diff(c.want, sortedOut(args, &hidden).Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

// taskWith returns a task with variables and labels.
func taskWith(variables map[string]string, labels ...string) mesos.TaskInfo {
	env := &mesos.Environment{}
	for name, value := range variables {
		env.Variables = append(env.Variables, mesos.Environment_Variable{Name: name, Value: &value})
	}
	docker := &mesos.ContainerInfo_DockerInfo{Image: "i", Network: mesos.ContainerInfo_DockerInfo_NONE.Enum()}
	for _, label := range labels {
		docker.Parameters = append(docker.Parameters, mesos.Parameter{Key: "label", Value: label})
	}
	return mesos.TaskInfo{
		Command:   &mesos.CommandInfo{Shell: new(false), Environment: env},
		Container: &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum(), Docker: docker},
	}
}
