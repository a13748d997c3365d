package master

import (
	"testing"

	lib "github.com/mesos/mesos-go/api/v1/lib"
)

func TestRegistryKeepsIDs(t *testing.T) {
	dir := t.TempDir()
	r, err := openRegistry(dir, "first", quiet)
	if err != nil {
		t.Fatal(err)
	}
	f := r.addFramework(lib.FrameworkInfo{Name: "web"})
	a := r.addAgent("")
	a.info.Hostname, a.inactive = "h1", true
	r.removed["old-framework"], r.departed["departed-agent"], r.gone["gone-agent"] = true, true, true
	r.save()

	r, err = openRegistry(dir, "second", quiet)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.frameworks[f.id]; got == nil || got.info.Name != "web" || got.info.ID.Value != f.id {
		t.Errorf("framework %s was stored as %+v", f.id, got)
	}
	if got := r.agents[a.id]; got == nil || got.info.Hostname != "h1" || !got.inactive {
		t.Errorf("agent %s was stored as %+v", a.id, got)
	}
	if !r.removed["old-framework"] || len(r.removed) != 1 {
		t.Errorf("the removed frameworks were stored as %v", r.removed)
	}
	for _, id := range []string{"departed-agent", "gone-agent"} {
		if got := r.addAgent(id).id; got == id {
			t.Errorf("%s got its old ID again", id)
		}
	}
	if !r.recovering() {
		t.Error("the registry does not wait for agent h1, which may still come back")
	}
}
