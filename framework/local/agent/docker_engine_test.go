package agent_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"go.uber.org/goleak"

	"tombolo/framework/local"
	"tombolo/framework/local/agent"
)

// realEngine is a dockerd for one test, in its own namespaces.
type realEngine struct {
	t    *testing.T
	dir  string
	host string
	kill func()
}

func startEngine(t *testing.T) *realEngine {
	t.Helper()
	// Not t.TempDir, because the path of a unix socket has at most 108 bytes.
	dir, err := os.MkdirTemp("", "tbagent")
	if err != nil {
		t.Fatal(err)
	}
	e := &realEngine{t: t, dir: dir, host: "unix://" + dir + "/docker.sock", kill: func() {}}
	t.Cleanup(func() {
		e.kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	e.start(t)
	return e
}

// start runs dockerd as the init of a PID namespace, so that killing it kills all its
// processes. It removes what an earlier dockerd left in exec, which names processes of
// another namespace.
func (e *realEngine) start(t *testing.T) {
	t.Helper()
	script := fmt.Sprintf(`mkdir -p /run/docker && mount -t tmpfs tmpfs /run/docker && ip link set lo up && rm -rf %[1]s/docker.pid %[1]s/exec &&
exec dockerd --data-root %[1]s/data --exec-root %[1]s/exec --pidfile %[1]s/docker.pid -H unix://%[1]s/docker.sock --iptables=false --bridge=none`, e.dir)
	cmd := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	e.kill = func() { _ = cmd.Process.Kill(); <-ended }
	docker, err := agent.NewDocker(e.host)
	if err != nil {
		t.Fatal(err)
	}
	defer docker.(io.Closer).Close()
	for range 300 {
		if _, err = docker.Machine(context.Background()); err == nil {
			return
		}
		select {
		case <-ended:
			t.Fatalf("dockerd ended at once: %s", log.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	e.kill()
	t.Fatalf("dockerd does not answer after 30 s: %v\n%s", err, log.String())
}

func (e *realEngine) docker(stdin []byte, args ...string) string {
	e.t.Helper()
	cmd := exec.Command("docker", append([]string{"-H", e.host}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		e.t.Fatalf("docker %v: %v: %s", args, err, out)
	}
	return string(out)
}

// importTask makes the image "task" from testdata/task.
func (e *realEngine) importTask() {
	e.t.Helper()
	binary := filepath.Join(e.dir, "task")
	build := exec.Command("go", "build", "-o", binary, "./testdata/task")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		e.t.Fatalf("go build of testdata/task: %v: %s", err, out)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		e.t.Fatal(err)
	}
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	if err := w.WriteHeader(&tar.Header{Name: "task", Mode: 0o755, Size: int64(len(program))}); err != nil {
		e.t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		e.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		e.t.Fatal(err)
	}
	e.docker(image.Bytes(), "import", "-c", `ENTRYPOINT ["/task"]`, "-", "task")
}

// realBed is an agent on a real Engine. The test gets its messages from a channel.
type realBed struct {
	t      *testing.T
	engine *realEngine
	dir    string
	agent  interface{ Send(local.ToAgent) }
	stop   func()
	heard  chan local.ToMaster   // buffered, so that the agent never waits for the test
	seen   map[string]bool       // UUIDs of updates; only the agent's goroutine uses it
	change func(*mesos.TaskInfo) // of each task before its launch; nil: none
}

func newRealBed(t *testing.T, e *realEngine) *realBed {
	b := &realBed{t: t, engine: e, dir: t.TempDir(), heard: make(chan local.ToMaster, 1000), seen: map[string]bool{}}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *realBed) start() {
	b.t.Helper()
	a, err := agent.New(agent.Config{
		Hostname: "h1", WorkDir: b.dir, DockerHost: b.engine.host,
	}, slog.New(slog.NewTextHandler(b.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.Run(ctx, b) }()
	b.agent = a
	b.stop = func() { cancel(); <-done }
	hear[local.Registration](b, 10*time.Second)
}

// Send makes realBed a local.Master. It passes on every update once, whether it comes
// alone or with a registration.
func (b *realBed) Send(from local.Agent, m local.ToMaster) {
	switch m := m.(type) {
	case local.Registration:
		from.Send(local.Registered{AgentID: mesos.AgentID{Value: "a1"}})
		b.heard <- m
		for _, task := range m.Tasks {
			for _, p := range task.Pending {
				b.receive(local.TaskUpdate{FrameworkID: *task.Framework.ID, Status: p})
			}
		}
	case local.TaskUpdate:
		b.receive(m)
	default:
		b.heard <- m
	}
}

func (b *realBed) receive(u local.TaskUpdate) {
	if id := string(u.Status.UUID); !b.seen[id] {
		b.seen[id] = true
		b.heard <- u
	}
}

// hear returns the next message of type M, and drops those before it.
func hear[M local.ToMaster](b *realBed, within time.Duration) M {
	b.t.Helper()
	limit := time.After(within)
	for {
		select {
		case m := <-b.heard:
			if want, ok := m.(M); ok {
				return want
			}
		case <-limit:
			b.t.Fatalf("the agent sent no %T within %v", *new(M), within)
		}
	}
}

// update expects the next update to have this state, acknowledges it and returns it.
func (b *realBed) update(state mesos.TaskState) *mesos.TaskStatus {
	b.t.Helper()
	u := hear[local.TaskUpdate](b, 30*time.Second)
	if u.Status.GetState() != state {
		b.t.Fatalf("the next update is %v %q, want %v", u.Status.State, u.Status.GetMessage(), state)
	}
	b.agent.Send(local.Acknowledge{
		TaskRef: local.TaskRef{FrameworkID: u.FrameworkID, TaskID: u.Status.TaskID}, UUID: u.Status.UUID,
	})
	return &u.Status
}

// launch launches a task on a network, on none if that is empty.
func (b *realBed) launch(network, image string, args ...string) local.TaskRef {
	b.t.Helper()
	kind, shell := mesos.ContainerInfo_DockerInfo_NONE, false
	container := &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum()}
	if network != "" {
		kind = mesos.ContainerInfo_DockerInfo_USER
		container.NetworkInfos = []mesos.NetworkInfo{{Name: &network}}
	}
	container.Docker = &mesos.ContainerInfo_DockerInfo{Image: image, Network: &kind}
	ref := local.TaskRef{FrameworkID: mesos.FrameworkID{Value: "fw"}, TaskID: mesos.TaskID{Value: "task"}}
	task := mesos.TaskInfo{
		Name: "task", TaskID: ref.TaskID, AgentID: mesos.AgentID{Value: "a1"}, Container: container,
		Command:   &mesos.CommandInfo{Shell: &shell, Arguments: args},
		Resources: []mesos.Resource{{Name: "mem", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: 64}}},
	}
	if b.change != nil {
		b.change(&task)
	}
	b.agent.Send(local.Launch{Framework: mesos.FrameworkInfo{ID: &ref.FrameworkID, Name: "t", User: "root"}, Task: task})
	return ref
}

// output returns the content of an output file of the task.
func (b *realBed) output(name string) string {
	b.t.Helper()
	files, _ := filepath.Glob(filepath.Join(b.dir, "slaves/a1/frameworks/fw/executors/task/runs/*", name))
	if len(files) != 1 {
		b.t.Fatalf("there are the output files %v, want exactly one", files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// nothingLeft waits until all containers are removed, as they are some time after the
// acknowledgement.
func (b *realBed) nothingLeft() {
	b.t.Helper()
	left := ""
	for range 100 {
		if left = b.engine.docker(nil, "ps", "-aq"); left == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Errorf("containers were left behind: %s", left)
}

func TestRealEngine(t *testing.T) {
	defer goleak.VerifyNone(t)
	e := startEngine(t)
	e.importTask()
	e.docker(nil, "network", "create", "--subnet", "198.18.77.0/24", "mynet")
	defer func() { e.kill() }() // e.kill is replaced when dockerd is started again
	for name, test := range map[string]func(*testing.T, *realEngine){
		"a container runs and fails":           realRunsAndFails,
		"a container is killed":                realIsKilled,
		"a container cannot start":             realCannotStart,
		"a container survives its agent":       realSurvivesItsAgent,
		"the Engine is killed":                 realEngineIsKilled,
		"a check needs no shell":               realCheckNeedsNoShell,
		"a container ends while no agent runs": realEndsMeanwhile,
	} {
		t.Run(name, func(t *testing.T) { test(t, e) })
	}
}

func realRunsAndFails(t *testing.T, e *realEngine) {
	b := newRealBed(t, e)
	b.launch("mynet", "task", "say", "hello", "sleep", "1s", "exit", "3")
	b.update(mesos.TASK_STARTING)
	running := b.update(mesos.TASK_RUNNING)
	var inspect []struct {
		Name            string
		State           struct{ Running bool }
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress netip.Addr }
		}
	}
	if err := json.Unmarshal(running.Data, &inspect); err != nil || len(inspect) != 1 || !inspect[0].State.Running {
		t.Fatalf("the data of TASK_RUNNING does not describe a running container (error %v): %s", err, running.Data)
	}
	if printed := e.docker(nil, "inspect", "--type=container", inspect[0].Name); printed != string(running.Data) {
		t.Errorf("the data of TASK_RUNNING is not the output of docker inspect (-want +got):\n%s", cmp.Diff(printed, string(running.Data)))
	}
	info := running.ContainerStatus.NetworkInfos[0]
	if got, want := info.IPAddresses[0].GetIPAddress(), inspect[0].NetworkSettings.Networks["mynet"].IPAddress; got != want.String() || info.GetName() != "mynet" {
		t.Errorf("the network info of TASK_RUNNING is %v, want the address %v on mynet", info, want)
	}
	u := hear[local.TaskUpdate](b, 30*time.Second) // not acknowledged yet, so that the sandbox stays
	if u.Status.GetState() != mesos.TASK_FAILED || u.Status.GetMessage() != "Container exited with status 3" {
		t.Errorf("the last update is %v, want TASK_FAILED with exit status 3", u.Status)
	}
	for _, name := range []string{"stdout", "stderr"} {
		if got := b.output(name); got != "hello\n" {
			t.Errorf("%s is %q, want hello", name, got)
		}
	}
	b.agent.Send(local.Acknowledge{TaskRef: local.TaskRef{FrameworkID: u.FrameworkID, TaskID: u.Status.TaskID}, UUID: u.Status.UUID})
	b.nothingLeft()
}

func realIsKilled(t *testing.T, e *realEngine) {
	b := newRealBed(t, e)
	ref := b.launch("", "task", "stubborn", "sleep", "1h")
	b.update(mesos.TASK_STARTING)
	b.update(mesos.TASK_RUNNING)
	b.agent.Send(local.Kill{TaskRef: ref, Policy: &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: 1}}})
	if got := b.update(mesos.TASK_KILLED).GetMessage(); got != "Container exited with status 137" {
		t.Errorf("the message of TASK_KILLED is %q, want exit status 137, that of SIGKILL", got)
	}
	b.nothingLeft()
}

func realCannotStart(t *testing.T, e *realEngine) {
	b := newRealBed(t, e)
	b.launch("", "nosuchimage.invalid/x:1")
	failed := b.update(mesos.TASK_FAILED)
	prefix := "Failed to launch container: Failed to run 'docker -H " + e.host + " pull nosuchimage.invalid/x:1': exited with status 1; stderr='Error response from daemon: "
	if !strings.HasPrefix(failed.GetMessage(), prefix) || failed.GetReason() != mesos.REASON_CONTAINER_LAUNCH_FAILED {
		t.Errorf("the update is %v %q, want a message that begins with %q", failed.Reason, failed.GetMessage(), prefix)
	}
	b.launch("nosuchnet", "task")
	b.update(mesos.TASK_STARTING)
	prefix = "Container exited with status 125: docker: Error response from daemon: network nosuchnet not found"
	if got := b.update(mesos.TASK_FAILED).GetMessage(); !strings.HasPrefix(got, prefix) {
		t.Errorf("the message is %q, want one that begins with %q", got, prefix)
	}
	b.nothingLeft()
}

func realSurvivesItsAgent(t *testing.T, e *realEngine) {
	b := newRealBed(t, e)
	ref := b.launch("", "task", "count")
	b.update(mesos.TASK_STARTING)
	b.update(mesos.TASK_RUNNING)
	b.stop()
	b.start()
	// The output goes on, without gaps or repetitions.
	for strings.Count(b.output("stdout"), "\n") < 200 {
		time.Sleep(50 * time.Millisecond)
	}
	for i, line := range strings.Split(b.output("stdout"), "\n")[:200] {
		if line != fmt.Sprint(i) {
			t.Fatalf("line %d of the output is %q, want %d", i, line, i)
		}
	}
	if n := strings.Count(e.docker(nil, "ps", "-q"), "\n"); n != 1 {
		t.Errorf("%d containers run, want 1", n)
	}
	b.agent.Send(local.Kill{TaskRef: ref})
	b.update(mesos.TASK_KILLED)
	b.nothingLeft()
}

func realEndsMeanwhile(t *testing.T, e *realEngine) {
	b := newRealBed(t, e)
	b.launch("", "task", "say", "bye", "sleep", "1s", "exit", "7")
	b.update(mesos.TASK_STARTING)
	b.update(mesos.TASK_RUNNING)
	b.stop()
	e.docker(nil, "wait", strings.TrimSpace(e.docker(nil, "ps", "-q")))
	b.start()
	if got := b.update(mesos.TASK_FAILED).GetMessage(); got != "Container exited with status 7" {
		t.Errorf("the message of TASK_FAILED is %q, want exit status 7", got)
	}
	b.nothingLeft()
}

func realEngineIsKilled(t *testing.T, e *realEngine) {
	b := newRealBed(t, e)
	b.launch("", "task", "sleep", "1h")
	b.update(mesos.TASK_STARTING)
	b.update(mesos.TASK_RUNNING)
	e.kill()
	hear[local.Departure](b, time.Second)
	e.start(t)
	b.update(mesos.TASK_FAILED)
	b.nothingLeft()
}

// The image has one file, its program: no shell.
func realCheckNeedsNoShell(t *testing.T, e *realEngine) {
	b := newRealBed(t, e)
	b.change = func(task *mesos.TaskInfo) {
		docker := task.Container.Docker
		for _, flag := range []string{"health-cmd=exec /task say 'it is' well", "health-interval=200ms", "health-retries=1", "label=a=b"} {
			key, value, _ := strings.Cut(flag, "=")
			docker.Parameters = append(docker.Parameters, mesos.Parameter{Key: key, Value: value})
		}
		words := `["/task","say","it is well"]`
		task.Labels = &mesos.Labels{Labels: []mesos.Label{{Key: local.HealthcheckLabel, Value: &words}}}
	}
	ref := b.launch("mynet", "task", "say", "hello", "sleep", "1h")
	b.update(mesos.TASK_STARTING)
	b.update(mesos.TASK_RUNNING)
	id := strings.TrimSpace(e.docker(nil, "ps", "-q"))
	look := func(format string) string { return strings.TrimSpace(e.docker(nil, "inspect", "-f", format, id)) }
	for range 100 {
		if look("{{.State.Health.Status}}") != "starting" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	want := `healthy ["CMD","/task","say","it is well"] 200ms b`
	if got := look(`{{.State.Health.Status}} {{json .Config.Healthcheck.Test}} {{.Config.Healthcheck.Interval}} {{.Config.Labels.a}}`); got != want {
		t.Errorf("the container is %s, want %s; the last check: %s", got, want, look("{{json .State.Health.Log}}"))
	}
	if got := b.output("stdout"); got != "hello\n" {
		t.Errorf("stdout is %q, want hello", got)
	}
	b.agent.Send(local.Kill{TaskRef: ref})
	b.update(mesos.TASK_KILLED)
	b.nothingLeft()
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "tombolo-docker*")); len(left) > 0 {
		t.Errorf("proxies left folders behind: %v", left)
	}
}
