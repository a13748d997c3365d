package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
		if _, err := tombolo.Must(ctx, "-f", file, "down", "-v"); err != nil {
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

// kept is a container of an app, as the Engine of its host lists it.
type kept struct{ host, id, state, instance string }

// listed are an app's containers on all living hosts, those that have ended too.
func listed(ctx context.Context, app string) ([]kept, error) {
	var all []kept
	for _, h := range testLab.Hosts {
		if !h.Alive() {
			continue
		}
		out, err := docker(ctx, h, "ps", "-a", "--no-trunc", "--filter", "label=tombolo.app="+app,
			"--format", `{{.ID}} {{.State}} {{.Label "tombolo.service"}}.{{.Label "tombolo.slot"}}`)
		if err != nil {
			return nil, fmt.Errorf("docker ps on %s: %w: %s", h.Name, err, out)
		}
		for line := range strings.Lines(out) {
			c := kept{host: h.Name}
			if _, err := fmt.Sscan(line, &c.id, &c.state, &c.instance); err != nil {
				return nil, fmt.Errorf("docker ps on %s says %q: %w", h.Name, line, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// containers lists an app's containers on all living hosts as "host service.slot".
func containers(t *testing.T, app string) []string {
	t.Helper()
	list, err := listed(context.WithoutCancel(t.Context()), app)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range list {
		all = append(all, c.host+" "+c.instance)
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
		list, err = upNow(ctx, app, n)
		return err
	})
	return list
}

// upNow are an app's n instances; an error if there are not as many, or one of them
// is not up.
func upNow(ctx context.Context, app string, n int) ([]api.Instance, error) {
	list, err := tombolo.Instances(ctx, app)
	if err != nil {
		return nil, err
	}
	if len(list) != n {
		return nil, fmt.Errorf("%d instances of %d: %+v", len(list), n, list)
	}
	for _, i := range list {
		if i.State != api.StateUp {
			return nil, fmt.Errorf("%s.%d is %s on %s: %s", i.Service, i.Slot, i.State, i.Host, i.Reason)
		}
	}
	return list, nil
}

// whole waits until an app has n instances, all up, and the Engines have one running
// container for each of them and no others of the app, not even ended ones.
func whole(t *testing.T, app string, n int) []api.Instance {
	t.Helper()
	var list []api.Instance
	within(t, func(ctx context.Context) (err error) {
		if list, err = upNow(ctx, app, n); err != nil {
			return err
		}
		have, err := listed(ctx, app)
		if err != nil {
			return err
		}
		var want []kept
		for _, i := range list {
			want = append(want, kept{i.Host, i.Container, "running", fmt.Sprintf("%s.%d", i.Service, i.Slot)})
		}
		byID := func(a, b kept) int { return cmp.Compare(a.id, b.id) }
		slices.SortFunc(have, byID)
		slices.SortFunc(want, byID)
		if !slices.Equal(have, want) {
			return fmt.Errorf("the Engines have %+v, and the framework %+v", have, want)
		}
		return nil
	})
	return list
}

// inInstance runs the probe in an instance's container.
func inInstance(ctx context.Context, i api.Instance, args ...string) (string, error) {
	h, err := testLab.Host(i.Host)
	if err != nil {
		return "", err
	}
	return docker(ctx, *h, append([]string{"exec", i.Container, "/probe"}, args...)...)
}
