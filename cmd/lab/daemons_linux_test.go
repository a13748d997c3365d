package lab

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tombolo/cmd/rundir"
)

func TestALabRefusesToStartBesideAnotherDaemon(t *testing.T) {
	const control = 7
	for _, c := range []struct {
		name, text string
		alive      bool
		want       string
	}{
		{"no holder", "", false, ""},
		{"the lab's own control daemon", "7\ncluster\n/s\n/c\n", true, ""},
		{"a dead daemon", "8\nmachine\n/s\n\n", false, ""},
		{"a daemon", "8\nmachine\n/s\n\n", true, "a tombolo daemon runs here (process 8) and serves RUN/api.sock, as a lab would (first: tombolo daemon stop)"},
		{"a daemon that has not written what it is", "", true, "a tombolo daemon runs here (process 0) and serves RUN/api.sock, as a lab would (first: tombolo daemon stop)"},
		{"a framework", "8\nframework\n/s\n\n", true, "a cluster's framework runs here (process 8) and serves RUN/api.sock, as a lab would (first: systemctl stop tombolo-framework)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := rundir.Dir(t.TempDir())
			if err := os.WriteFile(run.LockFile(), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.alive {
				holdLock(t, run.LockFile())
			}
			got := strings.ReplaceAll(errorText(mayControl(run, control)), string(run), "RUN")
			if got != c.want {
				t.Errorf("the lab's control daemon may start: got error %q, want %q", got, c.want)
			}
		})
	}
}

// holdLock locks the file at path as a daemon does.
func holdLock(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
