package master

import (
	"testing"
	"time"

	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
)

func TestFrameworkWithTheFewestCPUsIsOfferedMore(t *testing.T) {
	r, err := openRegistry("", "m", quiet)
	if err != nil {
		t.Fatal(err)
	}
	al := newAllocator(Config{}, newLoop(), r)
	connect := func(name string) *framework {
		f := r.addFramework(lib.FrameworkInfo{Name: name, Role: new("web")})
		f.stream, f.suppressed = newStream(false), map[string]bool{}
		return f
	}
	rich, poor, away := connect("rich"), connect("poor"), connect("away")
	away.stream = nil
	a := r.addAgent("")
	free := lib.Resources{resources.NewCPUs(1).Resource}
	held := map[*framework]float64{rich: 4, poor: 2}

	expect := func(want *framework, why string) {
		t.Helper()
		if got, _ := al.choose(a, free, held); got != want {
			t.Errorf("%s: the offer goes to %+v", why, got)
		}
	}
	expect(poor, "poor holds the fewest CPUs of the connected frameworks")
	poor.suppress(nil)
	expect(rich, "poor suppressed offers")
	poor.revive(nil)
	poor.filters[a] = []filter{{role: "web", resources: free, until: time.Now().Add(time.Hour)}}
	expect(rich, "poor refused as much")
	poor.revive(nil)
	expect(poor, "poor revived offers")
	held[rich] = 2
	poor.served = 1
	expect(rich, "both hold as much, and rich got fewer offers")
}
