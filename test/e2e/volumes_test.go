package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// A volume that is used stays. Without its app, rm removes it from its host. That of a host that is
// gone is freed by unpin, and the service starts elsewhere.
func TestVolumesAreRemovedAndFreed(t *testing.T) {
	file := compose(t, "tied", `
  db: {image: %IMAGE%, command: [remember, /data/boots], volumes: ["data:/data"]}
volumes: {data: }
`)
	up(t, file)
	home := allUp(t, "tied", 1)[0].Host
	volume := func(code int, want string, args ...string) {
		t.Helper()
		r, err := tombolo.Run(t.Context(), append([]string{"volume"}, args...)...)
		if err != nil || r.Code != code || !strings.Contains(r.Stdout+r.Stderr, want) {
			t.Errorf("volume %v: %v, exit code %d, want %d and %q:\n%s%s", args, err, r.Code, code, want, r.Stdout, r.Stderr)
		}
	}
	volume(0, "tied/db.1", "ls")
	volume(1, "is used by tied/db.1", "rm", "tied_data")
	volume(1, "is there", "unpin", "tied_data")
	if _, err := tombolo.Must(t.Context(), "-p", "tied", "down"); err != nil {
		t.Fatal(err)
	}
	volume(0, "from "+home, "rm", "tied_data")
	if out, err := docker(t.Context(), hostNamed(t, home), "volume", "ls", "-q"); err != nil || strings.Contains(out, "tied_data") {
		t.Errorf("rm left the volume on %s: %v: %s", home, err, out)
	}
	up(t, file)
	home = allUp(t, "tied", 1)[0].Host
	kill(t, home)
	defer startHost(t, home)
	within(t, func(context.Context) error {
		r, err := tombolo.Run(t.Context(), "volume", "unpin", "tied_data")
		if err == nil && r.Code != 0 {
			err = fmt.Errorf("unpin: %s", r.Stderr)
		}
		return err
	})
	within(t, func(ctx context.Context) error { return elsewhere(ctx, "tied", home) })
}
