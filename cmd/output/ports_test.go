package output

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

func TestPublishedPortsAreListedByService(t *testing.T) {
	web := []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}, {HostIP: "::1", Host: 49153, Target: 53, Proto: "udp"}}
	if got, want := portList(web), "8080->80/tcp, [::1]:49153->53/udp"; got != want {
		t.Errorf("portList returned %q, want %q", got, want)
	}
	if got, want := portList([]app.Port{{Host: 443, Target: 8443, Proto: "tcp", Mode: app.ModeIngress}}), "*:443->8443/tcp"; got != want {
		t.Errorf("portList returned %q, want %q", got, want)
	}
	s := api.Status{Instances: []api.Instance{
		{Service: "web", Slot: 1, Host: "h1", Ports: web},
		{Service: "web", Slot: 2, Host: "h1", Ports: web[:1]}, // shares the port
		{Service: "web", Slot: 3, Host: "h2", Ports: web[:1]},
		{Service: "api", Slot: 1, Host: "h2", Ports: []app.Port{{Host: 32768, Target: 8000, Proto: "tcp"}}},
		{Service: "db", Slot: 1, Host: "h1"},
		{Service: "edge", Slot: 1, Host: "h1", Ports: []app.Port{{Host: 443, Target: 443, Proto: "tcp", Mode: app.ModeIngress}}}, // on every host
	}}
	want := []string{"api 8000/tcp: h2:32768", "edge 443/tcp: 198.18.0.11:443 h2:443", "web 53/udp: [::1]:49153", "web 80/tcp: 198.18.0.11:8080 h2:8080"}
	if diff := cmp.Diff(want, published(s.Instances, []api.Host{{Name: "h1", Underlay: "198.18.0.11"}, {Name: "h2"}})); diff != "" {
		t.Errorf("published ports (-want +got):\n%s", diff)
	}
}
