package overlay

import "testing"

// Containers reach each other across two hosts as far as Allow permits it, and hosts reach all.
func TestContainersOfTwoHostsReachWhatIsAllowed(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	ea, eb, ec := a.endpoint(5), b.endpoint(5), b.endpoint(6)
	na, nb, nc := a.run(ea), b.run(eb), b.run(ec)
	b.config.Allow = []Allow{
		{From: ea.Addr4, To: eb.Addr4}, {From: ea.Addr6, To: eb.Addr6},
		{From: ec.Addr4, To: eb.Addr4, Ports: []HostPort{{80, "tcp"}}}, {From: ec.Addr6, To: eb.Addr6, Ports: []HostPort{{80, "tcp"}}},
	}
	a.set()
	b.set()
	for _, port := range []string{":80", ":81"} {
		listen(t, na, port)
		listen(t, nb, port)
		listen(t, nc, port)
	}
	for _, network := range []string{"tcp", "udp"} {
		reaches(t, na, network, at(eb.Addr4, 80), ea.Addr4.String())
		reaches(t, na, network, at(eb.Addr6, 80), ea.Addr6.String())
		cannotReach(t, na, network, at(ec.Addr4, 80))
		cannotReach(t, na, network, at(ec.Addr6, 80))
		cannotReach(t, nb, network, at(ea.Addr4, 80))
		reaches(t, a.ns, network, at(eb.Addr4, 80), a.Overlay4.String())
		reaches(t, a.ns, network, at(eb.Addr6, 80), a.Overlay6.String())
		reaches(t, b.ns, network, at(eb.Addr4, 80), b.Overlay4.String())
		reaches(t, b.ns, network, at(eb.Addr6, 80), b.Overlay6.String())
	}
	reaches(t, nc, "tcp", at(eb.Addr4, 80), ec.Addr4.String())
	reaches(t, nc, "tcp", at(eb.Addr6, 80), ec.Addr6.String())
	cannotReach(t, nc, "tcp", at(eb.Addr4, 81))
	cannotReach(t, nc, "udp", at(eb.Addr4, 80))
}
