package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/errortest"
	"tombolo/framework/api"
	"tombolo/framework/app"
)

func TestPsListsInstances(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	_, err := tombolo(t, socket, shop, "ps")
	errortest.Contains(t, err, "shop is not up")
	now := time.Now()
	status := func(name string) api.Status {
		return api.Status{App: name, Instances: []api.Instance{
			{App: name, Service: "db", Slot: 1, State: api.StateUp, Host: "h1", Address: "100.64.1.2", Health: "healthy", Container: "c0ffee",
				Ports: []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}, Started: now.Add(-90 * time.Second)},
			{App: name, Service: "web", Slot: 1, State: api.StateWaiting, Reason: "a volume's host\nis gone", Since: now.Add(-3 * time.Hour)},
		}}
	}
	f.mu.Lock()
	f.show(func(s *api.Snapshot) {
		s.Apps = api.AppsOf(api.App{Status: status("shop")}, api.App{Status: status("blog")})
	})
	f.mu.Unlock()
	out, err := tombolo(t, socket, shop, "ps")
	errortest.Contains(t, err, "")
	want := `APP   SERVICE  INSTANCE  HOST  ADDRESS     STATE    HEALTH   AGE  PORTS         REASON
shop  db       1         h1    100.64.1.2  up       healthy  90s  8080->80/tcp
shop  web      1         -     -           waiting  -        3h   -             a volume's host is gone
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("ps (-want +got):\n%s", diff)
	}
	out, err = tombolo(t, socket, shop, "ps", "-a", "--format", "json")
	errortest.Contains(t, err, "")
	if strings.Count(out, `"app": "blog"`) != 2 || strings.Count(out, `"app": "shop"`) != 2 {
		t.Errorf("ps -a --format json printed %s, want two instances of each app", out)
	}
	out, err = tombolo(t, socket, shop, "ps", "-a", "-q")
	errortest.Contains(t, err, "")
	if out != "c0ffee\nc0ffee\n" {
		t.Errorf("ps -a -q printed %q, want the two containers", out)
	}
	_, err = tombolo(t, socket, shop, "ps", "--format", "xml")
	errortest.Contains(t, err, "neither table nor json")
}
