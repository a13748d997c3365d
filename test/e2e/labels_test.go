package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tombolo/cmd/lab"
	"tombolo/linker/api"
)

// A mistake in a label permits nothing: the container has no egress, reaches nobody, and
// `linker status` names it. Every other spelling of "true" is understood.
func TestMistakesInLabelsOpenNoWay(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	target := db.address(t) + ":5432"
	outside := fmt.Sprintf("%s:%d", lab.Gateway, lab.RegistryPort)
	for _, tt := range []struct {
		service, label string
		egress, shut   bool
	}{
		{"open", "tombolo.internal=False", true, false},
		{"newer", `tombolo.links=[{"service":"db","weight":3}]`, true, false},
		{"spelt", "tombolo.internal=True", false, false},
		{"yes", "tombolo.internal=yes", false, true},
		{"empty", "tombolo.internal", false, true},
		{"slot", "tombolo.generation=seven", false, true},
		{"links", "tombolo.links=[db]", false, true},
	} {
		t.Run(tt.service, func(t *testing.T) {
			c := start(t, 1, spec{app: "shop", service: tt.service, flags: []string{"--label", tt.label}, args: []string{"serve", "80"}})
			reaches := map[string]bool{outside: tt.egress, target: !tt.shut}
			c.awaitsIdentity(t, tt.shut)
			for to, want := range reaches {
				if !want {
					c.refuses(t, to)
					continue
				}
				c.reaches(t, to)
			}
		})
	}
	lonely := container{host: testLab.Hosts[1], name: "lonely"} // it names no app
	t.Cleanup(func() { _, _ = docker(context.Background(), lonely.host, "rm", "-f", lonely.name) })
	if out, err := docker(t.Context(), lonely.host, "run", "-d", "--name", lonely.name, "--net", "tombolo", "--label", "tombolo.internal=true", image, "serve", "80"); err != nil {
		t.Fatalf("start %s: %v: %s", lonely.name, err, out)
	}
	lonely.awaitsIdentity(t, false)
	lonely.refuses(t, outside)
}

// An image says with labels that its containers are db of the app shop. Names lead to the real one
// alone, and the container gets no permission of the app.
func TestLabelsOfAnImageGiveNoIdentity(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, probe, filepath.Join(dir, "probe"))
	hostile := "tombolo-e2e/hostile:latest"
	dockerfile := "FROM scratch\nCOPY probe /probe\nENTRYPOINT [\"/probe\"]\n" +
		`LABEL tombolo.app=shop tombolo.service=db tombolo.slot=1 tombolo.generation=9 tombolo.networks="{\"shop_default\":null}"` + "\n"
	if err := publish(t.Context(), dir, &hostile, dockerfile); err != nil {
		t.Fatal(err)
	}
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.sees(t, "tasks.db", db.address(t))
	impostor := container{host: testLab.Hosts[1], name: "impostor"}
	t.Cleanup(func() { removeContainer(t, impostor.host, impostor.name) })
	if out, err := docker(t.Context(), impostor.host, "run", "-d", "--name", impostor.name, "--net", "tombolo", hostile, "serve", "5432"); err != nil {
		t.Fatalf("start %s: %v: %s", impostor.name, err, out)
	}
	impostor.awaitsIdentity(t, false)
	web.sees(t, "tasks.db", db.address(t))
	web.refuses(t, impostor.address(t)+":5432")
	impostor.refuses(t, db.address(t)+":5432")
}

// awaitsIdentity waits until the linker of the container's host has read its labels, and
// names it as shut off or does not.
func (c container) awaitsIdentity(t *testing.T, shut bool) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		client := api.NewClient(c.host.LinkerSocket())
		defer client.Close()
		s, err := client.Status(ctx)
		if err != nil {
			return err
		}
		snap, err := client.Catalog(ctx)
		if err != nil {
			return err
		}
		for _, ep := range snap.Endpoints {
			if snap.HostName(ep.Host) != c.host.Name || ep.ContainerName != c.name || !ep.Running {
				continue
			}
			if named := strings.Contains(fmt.Sprint(s.Problems), "labels-unreadable "+c.name+": "); named != shut || !s.Ready {
				return fmt.Errorf("the linker is ready: %v, with the problems %v; want it ready, and %s named: %v", s.Ready, s.Problems, c.name, shut)
			}
			return nil
		}
		return fmt.Errorf("%s has no record yet", c.name)
	})
}
