// Package dockertest stands a script in for the docker command.
package dockertest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ImageID is the ID of every image that the fake docker has.
const ImageID = "sha256:feedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedface"

// fake records its arguments and answers as docker does: the image postgres does not
// exist, and an image whose name contains "broken" does not build. It lists the images in the
// file docker.images beside it, and says of those whose name contains "running" that a container has them.
const fake = `#!/bin/sh
[ "$2" != unix:///var/run/docker.sock ] || shift 2 # the default Engine goes without saying
echo "$@" >> "$0.calls"
case "$1 $2" in
"push "*) echo "latest: digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef size: 528";;
"image inspect") case "$5" in postgres) exit 1;; esac; echo "` + ImageID + `";;
"images --format") cat "$0.images" 2>/dev/null;;
"image rm") case "$3" in *running*) echo "Error response from daemon: conflict: unable to remove" >&2; exit 1;; esac;;
"build -t") case "$3" in *broken*) echo "step 2 failed" >&2; exit 1;; esac;;
esac
`

// Fake puts a fake docker command first in PATH. calls returns the command lines that it
// got since the last call of calls, one a line.
func Fake(t testing.TB) (calls func() string) {
	t.Helper()
	record := Script(t, fake) + ".calls"
	return func() string {
		lines, err := os.ReadFile(record)
		if errors.Is(err, os.ErrNotExist) {
			return ""
		}
		if err := errors.Join(err, os.Remove(record)); err != nil {
			t.Fatal(err)
		}
		return string(lines)
	}
}

// Images makes the fake docker list images, given as NAME:TAG.
func Images(t testing.TB, names ...string) {
	t.Helper()
	path, err := exec.LookPath("docker")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".images", []byte(strings.Join(names, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Script puts a shell script named docker first in PATH and returns its path.
func Script(t testing.TB, script string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "docker")
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return path
}
