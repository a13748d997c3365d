package overlay

import "testing"

// Containers reach each other across two hosts as far as Groups permit it, and hosts reach all.
func TestContainersOfTwoHostsReachWhatIsAllowed(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	ea, eb, ec := a.endpoint(5), b.endpoint(5), b.endpoint(6)
	na, nb, nc := a.run(ea), b.run(eb), b.run(ec)
	b.config.Groups = []Group{
		allow(ea.Addr4, eb.Addr4), allow(ea.Addr6, eb.Addr6),
		allow(ec.Addr4, eb.Addr4, HostPort{80, "tcp"}), allow(ec.Addr6, eb.Addr6, HostPort{80, "tcp"}),
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
