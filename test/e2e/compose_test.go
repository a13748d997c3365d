package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tombolo/framework/api"
	"tombolo/test/cli"
)

// compose writes a Compose file whose %IMAGE% is the probe's and whose %PATIENT% is
// the same with a health check, and removes the app when the test ends.
func compose(t *testing.T, app, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	text = "name: " + app + "\nservices:\n" + strings.NewReplacer("%IMAGE%", image, "%PATIENT%", patient).Replace(text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := tombolo.Must(ctx, "-f", file, "down", "-v"); err != nil && !strings.Contains(err.Error(), "not found") {
			t.Errorf("down: %v", err)
		}
		// What had failed by itself goes with its acknowledgement, at about this time.
		if err := cli.Until(ctx, func() error { return leftovers(t, app) }); err != nil {
			t.Error(err)
		}
	})
	return file
}

// rewrite changes what a Compose file says.
func rewrite(t *testing.T, file, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("the file does not say %q", old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// leftovers is an error while containers of an app are there.
func leftovers(t *testing.T, app string) error {
	if left := containers(t, app); len(left) > 0 {
		return fmt.Errorf("down left %v", left)
	}
	return nil
}

// up brings an app up, which has to work.
func up(t *testing.T, file string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if out, err := tombolo.Must(ctx, "-f", file, "up"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// containers lists an app's containers on all living hosts as "host service.slot".
func containers(t *testing.T, app string) []string {
	t.Helper()
	var all []string
	for _, h := range testLab.Hosts {
		if !h.Alive() {
			continue
		}
		out, err := docker(context.WithoutCancel(t.Context()), h, "ps", "-a", "--filter", "label=tombolo.app="+app,
			"--format", `{{.Label "tombolo.service"}}.{{.Label "tombolo.slot"}}`)
		if err != nil {
			t.Fatalf("docker ps on %s: %v: %s", h.Name, err, out)
		}
		for _, line := range strings.Fields(out) {
			all = append(all, h.Name+" "+line)
		}
	}
	return all
}

func instances(t *testing.T, app string) []api.Instance {
	t.Helper()
	list, err := tombolo.Instances(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// allUp waits until an app has n instances and each is up.
func allUp(t *testing.T, app string, n int) []api.Instance {
	t.Helper()
	var list []api.Instance
	within(t, func(ctx context.Context) (err error) {
		if list, err = tombolo.Instances(ctx, app); err != nil {
			return err
		}
		if len(list) != n {
			return fmt.Errorf("%d instances of %d: %+v", len(list), n, list)
		}
		for _, i := range list {
			if i.State != api.StateUp {
				return fmt.Errorf("%s.%d is %s on %s: %s", i.Service, i.Slot, i.State, i.Host, i.Reason)
			}
		}
		return nil
	})
	return list
}

// exec runs the probe in an instance's container.
func inInstance(ctx context.Context, i api.Instance, args ...string) (string, error) {
	h, err := testLab.Host(i.Host)
	if err != nil {
		return "", err
	}
	return docker(ctx, *h, append([]string{"exec", i.Container, "/probe"}, args...)...)
}
