package e2e

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tombolo/framework/api"
)

// A file that Tombolo cannot honour is refused before anything starts, with the key and its position.
func TestRefusedFiles(t *testing.T) {
	long := strings.Repeat("a", 64)
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":           {"services:\n  web:\n    image: x\n    imagine: y\n", ":5:5: services.web.imagine: unknown key"},
		"bad YAML":              {"services:\n  web: [\n", ":3: bad YAML: did not find expected node content"},
		"cycle":                 {"services:\n  a:\n    image: x\n    depends_on: [b]\n  b:\n    image: x\n    depends_on: [a]\n", "wait for each other: a -> b -> a"},
		"link to no service":    {"services:\n  web:\n    image: x\n    links: [db]\n", ":5:13: services.web.links.db: there is no service db"},
		"depends on no service": {"services:\n  web:\n    image: x\n    depends_on: [db]\n", ":5:18: services.web.depends_on.db: there is no service db"},
		"name over 63 bytes":    {"services:\n  " + long + ":\n    image: x\n", ":3:3: services." + long + ": service name \"" + long + "\" has 64 bytes, more than the 63 of a DNS label"},
		"no service":            {"services: {}\n", ":2:1: services: there is no service to run"},
		"two problems":          {"services:\n  web:\n    image: x\n    imagine: y\n    links: [db]\n", "services.web.links.db: there is no service db"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "compose.yaml")
			if err := os.WriteFile(file, []byte("name: refused\n"+c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := tombolo.Run(t.Context(), "-f", file, "up")
			if err != nil {
				t.Fatal(err)
			}
			if r.Code != 1 || !strings.Contains(r.Stderr, c.want) || r.Stdout != "" {
				t.Errorf("up ended with exit code %d, want 1 and %q in:\n%s%s", r.Code, c.want, r.Stdout, r.Stderr)
			}
		})
	}
	if got := containers(t, "refused"); len(got) > 0 {
		t.Errorf("the refused app has the containers %v", got)
	}
	if r, err := tombolo.Run(t.Context(), "-p", "refused", "ps"); err != nil || !strings.Contains(r.Stderr, "refused is not up") {
		t.Errorf("the framework knows the refused app: %v: %s%s", err, r.Stdout, r.Stderr)
	}
}

func TestUpNamesAnImageThatDoesNotExist(t *testing.T) {
	missing := strings.Replace(image, "probe", "nobody", 1)
	file := compose(t, "imageless", "  web:\n    image: "+missing+"\n")
	failed := upFails(t, file)
	if !strings.Contains(failed, missing) {
		t.Errorf("up does not name the image:\n%s", failed)
	}
}

func TestUpShowsWhyAContainerExits(t *testing.T) {
	file := compose(t, "shortlived", `
  web:
    image: %IMAGE%
    command: [wrong, words]
`)
	failed := upFails(t, file)
	for _, want := range []string{"web.1 failed", "status 2", "    | usage: probe"} {
		if !strings.Contains(failed, want) {
			t.Errorf("up does not say %q:\n%s", want, failed)
		}
	}
}

// upFails runs up, which has to end with exit code 1, and returns its output.
func upFails(t *testing.T, file string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	r, err := tombolo.Run(ctx, "-f", file, "up")
	if err != nil || r.Code != 1 {
		t.Fatalf("up: %v, exit code %d, want 1:\n%s%s", err, r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout + r.Stderr
}

func TestPortTakenByTheHost(t *testing.T) {
	for _, h := range testLab.Hosts {
		cmd := h.Command(probe, "serve", "8099")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			in.Close()
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		})
		within(t, func(context.Context) error { return h.Command("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8099").Run() })
	}
	file := compose(t, "latecomer", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    ports: ["8099:80"]
`)
	if failed := upFails(t, file); !strings.Contains(failed, "port 8099/tcp of this host is taken by probe") {
		t.Errorf("up does not say that the host's probe has the port:\n%s", failed)
	}
}

func TestPortTakenByAnotherApp(t *testing.T) {
	first := compose(t, "porthaver", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    ports: ["8098:80"]
    deploy: {replicas: 3}
`)
	up(t, first)
	second := compose(t, "portwanter", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    ports: ["8098:80"]
`)
	failed := upFails(t, second)
	if !strings.Contains(failed, "host port 8098/tcp taken by porthaver/web.") {
		t.Errorf("up does not say who has the port:\n%s", failed)
	}
	for _, i := range allUp(t, "porthaver", 3) {
		if i.State != api.StateUp {
			t.Errorf("%s.%d is %s, want it still up", i.Service, i.Slot, i.State)
		}
	}
}

// The commands that need root say so when the user nobody runs them.
func TestCommandsSayThatTheyNeedRoot(t *testing.T) {
	dir, err := os.MkdirTemp("", "tombolo-nobody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "tombolo")
	copyFile(t, tombolo.Binary, binary)
	for _, args := range [][]string{
		{"lab", "up"}, {"lab", "down"}, {"linker", "--host", "x", "--underlay", "198.18.0.99"}, {"daemon", "run"},
	} {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "root is needed") {
			t.Errorf("tombolo %v as nobody: %v: %s", args, err, out)
		}
	}
}

// The test hides the lab and names an Engine that does not exist.
func TestUpWithoutDocker(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(file, []byte("name: engineless\nservices:\n  web:\n    image: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", `mount -t tmpfs none /run/tombolo && exec "$0" -f "$1" up`, tombolo.Binary, file)
	cmd.Env = append(cmd.Environ(), "DOCKER_HOST=unix:///nowhere/docker.sock")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "no Docker Engine answers") {
		t.Errorf("up without Docker: %v: %s; want exit code 1 and no Docker Engine answers", err, out)
	}
}

func TestWrongCommandLinesEndWithExitCode2(t *testing.T) {
	for _, args := range [][]string{{"upp"}, {"up", "--no-such-flag"}, {"lab", "upp"}, {"ps", "--format", "xml"}} {
		r, err := tombolo.Run(t.Context(), args...)
		if err != nil || r.Code != 2 || !strings.HasPrefix(r.Stderr, "tombolo: ") || r.Stdout != "" {
			t.Errorf("tombolo %v: %v, exit code %d: %s%s; want exit code 2 and a message on standard error", args, err, r.Code, r.Stdout, r.Stderr)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}
