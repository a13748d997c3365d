package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const packaging = "../../packaging"

// fakes are the scripts of programs that install.sh calls. Each records its arguments in $OUT/calls.
// tombolo fails if $OUT/broken exists.
var fakes = map[string]string{
	"systemctl":  `[ "$*" != "restart $FAIL" ] || exit 1`,
	"apt-get":    "",
	"networkctl": `[ -s /etc/systemd/network/10-tombolo.network ]`,
	"sleep":      "",
	"tombolo":    `echo "it says why" >&2; [ ! -e "$OUT/broken" ]`,
	"setup.sh":   "",
}

// bed is an empty machine to install on.
type bed struct {
	dir string // has a copy of packaging, the fakes, and the recorded calls
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this test needs root, because it creates a mount namespace")
	}
	b := &bed{dir: t.TempDir()}
	if err := os.CopyFS(filepath.Join(b.dir, "packaging"), os.DirFS(packaging)); err != nil {
		t.Fatal(err)
	}
	for name, does := range fakes {
		path := filepath.Join(b.dir, "bin", name)
		if name == "setup.sh" {
			path = filepath.Join(b.dir, "packaging", name)
		}
		b.write(t, path, "#!/bin/sh\necho \"${0##*/} $*\" >>\"$OUT/calls\"\n"+does+"\n")
	}
	if err := os.Chmod(filepath.Join(b.dir, "packaging", "install.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bed) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// run runs a script on an empty machine and returns its output. In the script, install stands for
// install.sh.
func (b *bed) run(t *testing.T, script string, env ...string) (string, error) {
	t.Helper()
	const prelude = `set -e
mount --make-rprivate /
for d in /etc /run /usr/local/bin; do mount -t tmpfs none $d; done
mkdir -p /run/systemd/system
install() { "$OUT/packaging/install.sh" "$@"; }
`
	cmd := exec.CommandContext(t.Context(), "/bin/bash", "-c", prelude+script)
	cmd.Env = append([]string{
		"OUT=" + b.dir, "PATH=" + b.dir + "/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TOMBOLO_BINARY=" + b.dir + "/bin/tombolo",
	}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b *bed) calls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func TestEachRoleIsInstalledAndStarted(t *testing.T) {
	started := func(unit string) []string {
		return []string{"systemctl daemon-reload", "systemctl enable " + unit, "systemctl restart " + unit}
	}
	steady := func(unit string) []string {
		return []string{"systemctl is-active --quiet " + unit, "sleep 3", "systemctl is-active --quiet " + unit}
	}
	unmanaged := []string{"systemctl is-active --quiet systemd-networkd", "networkctl reload"}
	join := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, c := range []struct {
		args, unit, env string
		calls           []string
	}{
		{"linker --join 192.0.2.1 --join 192.0.2.2", "tombolo-linker", "tombolo-linker.env: TOMBOLO_FLAGS=--join 192.0.2.1 --join 192.0.2.2",
			join([]string{"setup.sh "}, unmanaged, started("tombolo-linker"), []string{"tombolo linker status"})},
		{"framework --master http://m:5050", "tombolo-framework", "tombolo-framework.env: TOMBOLO_FLAGS=--master http://m:5050",
			join(started("tombolo-framework"), []string{"tombolo ps --all"})},
		{"daemon", "tombolo-daemon", "tombolo-daemon.env: ",
			join([]string{"setup.sh "}, unmanaged, started("tombolo-daemon"), []string{"tombolo daemon status"})},
		{"mesos-master /m.deb --ip=192.0.2.1", "tombolo-mesos-master", "mesos-master.env: MESOS_FLAGS=--ip=192.0.2.1",
			join([]string{"setup.sh ", "apt-get install -y -qq /m.deb"}, started("tombolo-mesos-master"), steady("tombolo-mesos-master"))},
		{"mesos-agent /m.deb --master=m:5050", "tombolo-mesos-agent", "mesos-agent.env: MESOS_FLAGS=--master=m:5050",
			join([]string{"setup.sh ", "apt-get install -y -qq /m.deb"}, started("tombolo-mesos-agent"), steady("tombolo-mesos-agent"))},
	} {
		t.Run(strings.Fields(c.args)[0], func(t *testing.T) {
			b := newBed(t)
			show := fmt.Sprintf("\n[ -s /etc/systemd/system/%s.service ]\ncd /etc/tombolo\nfor f in *; do echo \"$f: $(cat $f)\"; done\n", c.unit)
			out, err := b.run(t, "install "+c.args+show)
			want := "install: " + strings.Fields(c.args)[0] + " is installed and running\n" + c.env + "\n"
			if err != nil || out != want {
				t.Errorf("install.sh: %v, output:\n%swant:\n%s", err, out, want)
			}
			if diff := cmp.Diff(c.calls, b.calls(t)); diff != "" {
				t.Errorf("calls of other programs (-want +got):\n%s", diff)
			}
		})
	}
}

// An upgrade without flags keeps the old flags. An upgrade with flags replaces them, and keeps the
// other settings that the operator has added.
func TestUpgradesKeepTheFlags(t *testing.T) {
	b := newBed(t)
	out, err := b.run(t, `
install linker --join 192.0.2.1 >/dev/null
echo TOMBOLO_DEBUG=true >>/etc/tombolo/tombolo-linker.env
install linker >/dev/null
cat /etc/tombolo/tombolo-linker.env
install linker --join 192.0.2.2 >/dev/null
cat /etc/tombolo/tombolo-linker.env
`)
	want := "TOMBOLO_FLAGS=--join 192.0.2.1\nTOMBOLO_DEBUG=true\nTOMBOLO_DEBUG=true\nTOMBOLO_FLAGS=--join 192.0.2.2\n"
	if err != nil || out != want {
		t.Errorf("install.sh: %v, the settings are:\n%swant:\n%s", err, out, want)
	}
}

func TestInstallSaysWhatFailed(t *testing.T) {
	b := newBed(t)
	b.write(t, filepath.Join(b.dir, "broken"), "")
	for _, c := range []struct{ args, env, want string }{
		{"linker", "", "install: tombolo-linker is installed, but is not ready after one minute; see: journalctl -u tombolo-linker\nit says why\n"},
		{"daemon", "FAIL=tombolo-daemon", "install: tombolo-daemon is installed, but systemd cannot start it; see: journalctl -u tombolo-daemon\n"},
		{"", "", "install: name a role: linker, framework, daemon, mesos-master or mesos-agent\n"},
		{"nosuch", "", "install: unknown role nosuch; the roles are linker, framework, daemon, mesos-master and mesos-agent\n"},
		{"mesos-agent", "", "install: mesos-agent needs the package file as its first argument\n"},
		{"linker", "TOMBOLO_BINARY=/nosuch", "install: no binary at /nosuch (build it with: make build, or set TOMBOLO_BINARY)\n"},
	} {
		if out, err := b.run(t, "install "+c.args, c.env); err == nil || out != c.want {
			t.Errorf("install.sh %s: %v, output:\n%swant an error and:\n%s", c.args, err, out, c.want)
		}
	}
	if n := strings.Count(strings.Join(b.calls(t), "\n"), "tombolo linker status"); n != 60 {
		t.Errorf("install.sh asked for the linker's status %d times, want 60", n)
	}
}

// systemd itself checks the units, if this machine has systemd.
func TestUnitsAreValid(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("this machine has no systemd-analyze, so the units are not checked")
		return
	}
	b := newBed(t)
	out, err := b.run(t, `
cp "$OUT/bin/tombolo" /usr/local/bin/
cp "$OUT"/packaging/*.service /run/systemd/system/
for u in "$OUT"/packaging/*.service; do systemd-analyze --man=no verify "/run/systemd/system/${u##*/}"; done
`)
	if err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
