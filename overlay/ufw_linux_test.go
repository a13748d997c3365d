package overlay

import (
	"fmt"
	"os/exec"
	"testing"
)

// ufw runs ufw in the host's namespace, with files of its own in dir.
func ufw(t *testing.T, h *labHost, dir, commands string) {
	t.Helper()
	runIn(t, h.ns, fmt.Sprintf(`unshare --mount sh -ec '
[ -e %[1]s/ufw ] || { cp -a /etc/ufw %[1]s/ufw; cp /etc/default/ufw %[1]s/default; }
mount --bind %[1]s/ufw /etc/ufw; mount --bind %[1]s/default /etc/default/ufw
mount -t tmpfs x /run
%[2]s'`, dir, commands))
}

// A host has ufw, with its defaults and the README's ports open. The overlay works, also after ufw
// has loaded its rules anew, and rules of the administrator for forwarded packets hold.
func TestTheOverlayPassesUfw(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ufw"); err != nil {
		t.Skip("ufw is not installed (apt-get install ufw)")
	}
	f := newFirewallLab(t)
	f.b.set()
	dir := t.TempDir()
	ufw(t, f.b, dir, "ufw allow 7980; ufw allow 8480/udp; ufw --force enable")
	cannotReach(t, f.box(f.stranger), "udp", at(Gateway4, 53))
	background(t, f.b)
	back := func() {
		t.Helper()
		if took := f.outage(t); took >= ample {
			t.Fatalf("after %v the overlay does not work: %s", took, runIn(t, f.b.ns, "iptables -S"))
		}
		f.passes(t)
	}
	back()
	ufw(t, f.b, dir, "ufw reload")
	back()
	ufw(t, f.b, dir, "ufw route deny proto tcp from "+outsideAddr.String()+" to any")
	cannotReach(t, f.l.outside, "tcp", at(f.b.Underlay, 8001))
	reaches(t, f.box(f.web), "tcp", at(f.db.Addr4, 80), f.web.Addr4.String())
}
