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

// compose writes a Compose file and removes the app when the test ends. %IMAGE% in the file stands
// for the probe's image, and %CHECKED% for the same image with a health check.
func compose(t *testing.T, app, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	text = "name: " + app + "\nservices:\n" + strings.NewReplacer("%IMAGE%", image, "%CHECKED%", checkedImage).Replace(text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := tombolo.Must(ctx, "-f", file, "down", "-v"); err != nil {
			t.Errorf("down: %v", err)
		}
		// Containers that had ended by themselves are removed when their last status is acknowledged,
		// which may be a moment later.
		if err := cli.Until(ctx, func() error { return leftovers(t, app) }); err != nil {
			t.Error(err)
		}
	})
	return file
}

// rewrite replaces a piece of text in a Compose file.
func rewrite(t *testing.T, file, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("the Compose file does not contain %q", old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// leftovers returns an error if an app still has containers.
func leftovers(t *testing.T, app string) error {
	if left := containers(t, app); len(left) > 0 {
		return fmt.Errorf("down left the containers %v", left)
	}
	return nil
}

// up brings an app up and fails the test if that does not work.
func up(t *testing.T, file string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if out, err := tombolo.Must(ctx, "-f", file, "up"); err != nil {
		t.Fatalf("up: %v\n%s", err, out)
	}
}

// engineContainer is a container of an app, as the Engine of its host lists it.
type engineContainer struct{ host, id, state, instance string }

// listContainers returns an app's containers on all living hosts, also those that have ended.
func listContainers(ctx context.Context, app string) ([]engineContainer, error) {
	var all []engineContainer
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
			c := engineContainer{host: h.Name}
			if _, err := fmt.Sscan(line, &c.id, &c.state, &c.instance); err != nil {
				return nil, fmt.Errorf("parse the line %q of docker ps on %s: %w", line, h.Name, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// containers returns an app's containers on all living hosts, each as "host service.slot".
func containers(t *testing.T, app string) []string {
	t.Helper()
	list, err := listContainers(context.WithoutCancel(t.Context()), app)
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

// upNow returns an app's instances, or an error if there are not n or one of them is not up.
func upNow(ctx context.Context, app string, n int) ([]api.Instance, error) {
	list, err := tombolo.Instances(ctx, app)
	if err != nil {
		return nil, err
	}
	if len(list) != n {
		return nil, fmt.Errorf("the app has %d instances, want %d: %+v", len(list), n, list)
	}
	for _, i := range list {
		if i.State != api.StateUp {
			return nil, fmt.Errorf("%s.%d is %s on %s: %s", i.Service, i.Slot, i.State, i.Host, i.Reason)
		}
	}
	return list, nil
}

// whole waits until an app has n instances, all of them are up, and the Engines have exactly one
// container for each, without any that has ended.
func whole(t *testing.T, app string, n int) []api.Instance {
	t.Helper()
	var list []api.Instance
	within(t, func(ctx context.Context) (err error) {
		if list, err = upNow(ctx, app, n); err != nil {
			return err
		}
		have, err := listContainers(ctx, app)
		if err != nil {
			return err
		}
		var want []engineContainer
		for _, i := range list {
			want = append(want, engineContainer{i.Host, i.Container, "running", fmt.Sprintf("%s.%d", i.Service, i.Slot)})
		}
		byID := func(a, b engineContainer) int { return cmp.Compare(a.id, b.id) }
		slices.SortFunc(have, byID)
		slices.SortFunc(want, byID)
		if !slices.Equal(have, want) {
			return fmt.Errorf("the Engines have the containers %+v, the framework knows %+v", have, want)
		}
		return nil
	})
	return list
}

// inInstance runs another probe in an instance's container and returns its output.
func inInstance(ctx context.Context, i api.Instance, args ...string) (string, error) {
	h, err := testLab.Host(i.Host)
	if err != nil {
		return "", err
	}
	return docker(ctx, *h, append([]string{"exec", i.Container, "/probe"}, args...)...)
}

// mustProbe runs another probe in an instance's container, which has to succeed, and returns its
// output.
func mustProbe(t *testing.T, i api.Instance, args ...string) string {
	t.Helper()
	out, err := inInstance(t.Context(), i, args...)
	if err != nil {
		t.Fatalf("probe %s in %s.%d: %v: %s", strings.Join(args, " "), i.Service, i.Slot, err, out)
	}
	return out
}
