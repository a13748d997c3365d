package overlay

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Docker's FORWARD policy is DROP; its DOCKER-USER chain lets ours through.
func TestDockersForwardDrop(t *testing.T) {
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
	b.config.Allow = []Allow{{From: from.Addr4, To: to.Addr4}, {From: from.Addr6, To: to.Addr6}}
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
	for _, h := range l.hosts { // as a firewall's reload does
		runIn(t, h.ns, "iptables -F DOCKER-USER && iptables -A DOCKER-USER -j RETURN")
	}
	all()
	rules := string(runIn(t, a.ns, "iptables -S DOCKER-USER"))
	if got := strings.Count(rules, "ACCEPT"); got != len(dockerRules) {
		t.Errorf("%d rules of ours: %s", got, rules)
	}
	must(t, a.overlay.Clear(t.Context()))
	if diff := cmp.Diff("-N DOCKER-USER\n-A DOCKER-USER -j RETURN\n", string(runIn(t, a.ns, "iptables -S DOCKER-USER"))); diff != "" {
		t.Error(diff)
	}
}

func TestRuleChanges(t *testing.T) {
	have := strings.Split("-N DOCKER-USER\n-A DOCKER-USER -i tombolo0 -j ACCEPT\n-A DOCKER-USER -j RETURN\n", "\n")
	want := "-I DOCKER-USER -i tb+ -j ACCEPT\n-I DOCKER-USER -o tb+ -j ACCEPT\n-I DOCKER-USER -o tombolo0 -j ACCEPT\n"
	if diff := cmp.Diff(want, addRules(have)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("-D DOCKER-USER -i tombolo0 -j ACCEPT\n", deleteRules(have)); diff != "" {
		t.Error(diff)
	}
}

// A chain that is not there is nobody's concern; one that cannot be read may lack our
// rules.
func TestDockerUserThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for code, fails := range map[int]bool{1: false, 3: false, 4: true} {
		script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = -V ]; then echo nf_tables; else exit %d; fi\n", code)
		must(t, os.WriteFile(filepath.Join(dir, "iptables"), []byte(script), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "ip6tables"), []byte(script), 0o700))
		if err := new(dockerUser).ensure(t.Context(), 1); (err != nil) != fails {
			t.Errorf("exit code %d: %v", code, err)
		}
	}
}
