package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"tombolo/framework/api"
	"tombolo/test/cli"
)

// A container that is killed is replaced by a new one. It finds the data in the VOLUME of its image, and
// in an anonymous volume of the file. After down and up the volumes are new; down -v removes them.
func TestVolumesWithoutANameStayWithTheirInstance(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, probe, filepath.Join(dir, "probe"))
	withVolume := "tombolo-e2e/withvolume:latest"
	if err := publish(t.Context(), dir, &withVolume, "FROM scratch\nCOPY probe /probe\nVOLUME /data\nENTRYPOINT [\"/probe\"]\n"); err != nil {
		t.Fatal(err)
	}
	file := compose(t, "slotted", `
  image: {image: "`+withVolume+`", command: [remember, /data/boots]}
  file: {image: %IMAGE%, command: [remember, /kept/boots], volumes: [/kept]}
`)
	wantBoots := func(when, boots string) {
		t.Helper()
		for _, service := range []string{"image", "file"} {
			out, err := tombolo.Must(t.Context(), "-p", "slotted", "logs", service)
			if err != nil || !strings.Contains(out, boots) {
				t.Errorf("%s, %s does not say %q: %v: %q", when, service, boots, err, out)
			}
		}
	}
	up(t, file)
	wantBoots("at first", "boot 1")
	for _, i := range allUp(t, "slotted", 2) {
		inLab(t, i, "kill", i.Container)
		next := awaitInstance(t, "slotted", i.Service, 1, func(n api.Instance) bool { return n.Generation > i.Generation && n.State == api.StateUp })
		if next.Host != i.Host {
			t.Errorf("%s.1 went from %s to %s, want it to stay with its volume", i.Service, i.Host, next.Host)
		}
	}
	wantBoots("after its container was killed", "boot 2")
	if _, err := tombolo.Must(t.Context(), "-p", "slotted", "down"); err != nil {
		t.Fatal(err)
	}
	up(t, file)
	wantBoots("after down and up", "boot 1")
	if _, err := tombolo.Must(t.Context(), "-p", "slotted", "down", "-v"); err != nil {
		t.Fatal(err)
	}
	for _, h := range testLab.Hosts {
		out, err := cli.Docker(t.Context(), h.DockerHost(), "volume", "ls", "-q").CombinedOutput()
		if err != nil || strings.Contains(string(out), "slotted") {
			t.Errorf("down -v left volumes on %s: %v: %s", h.Name, err, out)
		}
	}
}
