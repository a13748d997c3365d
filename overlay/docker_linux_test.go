package overlay

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Docker sets the policy of FORWARD to DROP. Our rules in DOCKER-USER let our traffic pass.
func TestTrafficPassesDockersForwardDrop(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	for _, h := range l.hosts {
		for _, tool := range []string{"iptables", "ip6tables"} {
			runIn(t, h.ns, tool+" -P FORWARD DROP && "+tool+" -N DOCKER-USER && "+tool+" -A FORWARD -j DOCKER-USER && "+tool+" -A DOCKER-USER -j RETURN")
		}
		h.set()
	}
	from, to := a.endpoint(5), b.endpoint(5)
	box := a.run(from)
	listen(t, b.run(to), ":80")
	listen(t, l.outside, ":80")
	b.config.Groups = []Group{allow(from.Addr4, to.Addr4), allow(from.Addr6, to.Addr6)}
	a.config.Publish = []Publish{{HostPort: 8001, Proto: "tcp", To: to.Addr4, Port: 80}}
	all := func() {
		t.Helper()
		a.set()
		b.set()
		reaches(t, box, "tcp", at(to.Addr4, 80), from.Addr4.String())
		reaches(t, box, "tcp", at(to.Addr6, 80), from.Addr6.String())
		reaches(t, box, "tcp", at(outsideAddr, 80), a.Underlay.String())
		reaches(t, l.outside, "tcp", at(a.Underlay, 8001), a.Overlay4.String())
	}
	all()
	for _, h := range l.hosts { // as when a firewall reloads
		runIn(t, h.ns, "iptables -F DOCKER-USER && iptables -A DOCKER-USER -j RETURN")
	}
	all()
	rules := string(runIn(t, a.ns, "iptables -S DOCKER-USER"))
	if got := strings.Count(rules, "ACCEPT"); got != 7 {
		t.Errorf("the chain has %d rules of ours, want 7: %s", got, rules)
	}
	must(t, a.overlay.Clear(t.Context()))
	if diff := cmp.Diff("-N DOCKER-USER\n-A DOCKER-USER -j RETURN\n", string(runIn(t, a.ns, "iptables -S DOCKER-USER"))); diff != "" {
		t.Errorf("rules after Clear (-want +got):\n%s", diff)
	}
}
