package overlay

import (
	"fmt"
	"os"
	"path/filepath"
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
	if got := strings.Count(rules, "ACCEPT"); got != len(dockerRules) {
		t.Errorf("the chain has %d rules of ours, want %d: %s", got, len(dockerRules), rules)
	}
	must(t, a.overlay.Clear(t.Context()))
	if diff := cmp.Diff("-N DOCKER-USER\n-A DOCKER-USER -j RETURN\n", string(runIn(t, a.ns, "iptables -S DOCKER-USER"))); diff != "" {
		t.Errorf("rules after Clear (-want +got):\n%s", diff)
	}
}

func TestRuleChangesAreMinimal(t *testing.T) {
	have := strings.Split("-N DOCKER-USER\n-A DOCKER-USER -i tombolo0 -j ACCEPT\n-A DOCKER-USER -j RETURN\n", "\n")
	want := "-I DOCKER-USER -i tb+ -j ACCEPT\n-I DOCKER-USER -o tb+ -j ACCEPT\n-I DOCKER-USER -o tombolo0 -j ACCEPT\n"
	if diff := cmp.Diff(want, addRules(have)); diff != "" {
		t.Errorf("addRules (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("-D DOCKER-USER -i tombolo0 -j ACCEPT\n", deleteRules(have)); diff != "" {
		t.Errorf("deleteRules (-want +got):\n%s", diff)
	}
}

// A missing chain is no error. A chain that cannot be read is, because our rules may be missing.
func TestAnUnreadableDockerUserIsAnError(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for code, fails := range map[int]bool{1: false, 3: false, 4: true} {
		script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = -V ]; then echo nf_tables; else exit %d; fi\n", code)
		must(t, os.WriteFile(filepath.Join(dir, "iptables"), []byte(script), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "ip6tables"), []byte(script), 0o700))
		if err := new(dockerUser).ensure(t.Context(), 1); (err != nil) != fails {
			t.Errorf("iptables ended with exit code %d: ensure = %v, want an error: %t", code, err, fails)
		}
	}
}
