package overlay

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>`

// runFirewalld starts firewalld in the host's namespace, on a bus of its own.
func runFirewalld(t *testing.T, h *labHost) {
	t.Helper()
	for _, name := range []string{"firewalld", "firewall-cmd", "dbus-daemon"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed (apt-get install firewalld)", name)
		}
	}
	dir := t.TempDir()
	socket, config := filepath.Join(dir, "bus"), filepath.Join(dir, "bus.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o600))
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	background := func(name string, args ...string) {
		enter(t, h.ns, func() {
			// Its own mount namespace, because firewalld keeps files below /run and /etc.
			cmd := exec.Command("unshare", append([]string{"--mount", "--kill-child", "--fork", "sh", "-ec",
				"mount -t tmpfs x /run; mount -t tmpfs x /etc/firewalld; mkdir /etc/firewalld/zones; exec \"$@\"", "sh", name}, args...)...)
			cmd.Stderr = os.Stderr
			must(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		})
	}
	background("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile")
	waitFor(t, "the bus listens", func() bool { _, err := os.Stat(socket); return err == nil })
	background("firewalld", "--nofork", "--nopid", "--log-file="+filepath.Join(dir, "log"))
	eventually(t, "firewalld runs", func() bool { return exec.Command("firewall-cmd", "--state").Run() == nil })
	// The README's ports are open, and the lab's published port is not.
	for _, port := range []string{"7980/tcp", "7980/udp", "8480/udp"} {
		runIn(t, h.ns, "firewall-cmd --permanent --zone public --add-port "+port)
	}
	runIn(t, h.ns, "firewall-cmd --reload")
}

// eventually waits for something that may take much longer on a busy machine.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("a minute passed before %s", what)
		}
	}
}

// passes checks what has to pass a host whose firewall opens nothing to strangers, and what must not pass it.
func (f firewallLab) passes(t *testing.T) {
	t.Helper()
	for _, proto := range []string{"udp", "tcp"} {
		reaches(t, f.box(f.stranger), proto, at(Gateway4, 53), f.stranger.Addr4.String())
		reaches(t, f.box(f.web), proto, at(f.db.Addr4, 80), f.web.Addr4.String())
		reaches(t, f.box(f.web), proto, at(f.db.Addr6, 80), f.web.Addr6.String())
	}
	reaches(t, f.box(f.db), "tcp", at(outsideAddr, 80), f.b.Underlay.String())
	reaches(t, f.l.outside, "tcp", at(f.b.Underlay, 8001), outsideAddr.String())
	for target, from := range f.forbidden() {
		cannotReach(t, from, "tcp", target)
	}
	cannotReach(t, f.box(f.stranger), "tcp", at(f.b.Underlay, 9000))
	cannotReach(t, f.a.ns, "tcp", at(f.b.Underlay, 9000))
	cannotReach(t, f.a.ns, "tcp", at(f.b.Overlay4, 9000))
}

// A host has firewalld. The overlay works, also after firewalld has loaded its rules anew.
func TestTheOverlayPassesFirewalld(t *testing.T) {
	f := newFirewallLab(t)
	f.b.set()
	runFirewalld(t, f.b)
	cannotReach(t, f.box(f.stranger), "udp", at(Gateway4, 53))
	background(t, f.b)
	eventually(t, "our rules are there", func() bool {
		return strings.Contains(string(runIn(t, f.b.ns, "nft list table inet firewalld")), "tombolo")
	})
	f.passes(t)
	runIn(t, f.b.ns, "firewall-cmd --reload")
	eventually(t, "our rules are there again", func() bool {
		return strings.Contains(string(runIn(t, f.b.ns, "nft list table inet firewalld")), "tombolo")
	})
	f.passes(t)
}

// firewalld's table belongs to firewalld alone. The overlay asks firewalld, by D-Bus, and cleans up.
func TestFirewalldIsAskedWhereItsTableIsLocked(t *testing.T) {
	f := newFirewallLab(t)
	f.b.set()
	runFirewalld(t, f.b)
	lockFirewalldsTable(t)
	background(t, f.b)
	mended := func() bool {
		found := f.b.overlay.Firewall()
		for _, at := range found {
			if !at.Mended {
				return false
			}
		}
		return len(found) > 0
	}
	eventually(t, "firewalld accepts the overlay", mended)
	if table := string(runIn(t, f.b.ns, "nft list table inet firewalld")); strings.Contains(table, "comment \"tombolo") {
		t.Fatalf("the locked table has rules of ours:\n%s", table)
	}
	f.passes(t)
	before := f.b.rulesOfFirewalld(t)
	runIn(t, f.b.ns, "nft add table inet other") // after each change of nftables firewalld is asked again
	f.passes(t)                                  // this takes seconds
	if f.b.rulesOfFirewalld(t) != before {
		t.Error("firewalld was made to load its rules again, which changes nothing and forgets what is not permanent")
	}
	runIn(t, f.b.ns, "firewall-cmd --reload")
	if f.b.rulesOfFirewalld(t) == before {
		t.Error("the handles of firewalld's rules are the same after a reload, so this test sees no reload")
	}
	f.passes(t)
	f.b.config.Peering = append(f.b.config.Peering, HostPort{7999, "tcp"})
	f.b.set()
	eventually(t, "firewalld accepts another port of the peers", func() bool {
		return strings.Contains(string(runIn(t, f.b.ns, "firewall-cmd --info-policy tombolo-peers")), "7999") && mended()
	})
	must(t, f.b.overlay.Clear(t.Context()))
	for _, list := range []string{"--get-zones", "--get-policies", "--get-ipsets"} {
		if have := string(runIn(t, f.b.ns, "firewall-cmd "+list)); strings.Contains(have, "tombolo") {
			t.Errorf("after Clear firewall-cmd %s says %q", list, have)
		}
	}
}

// rulesOfFirewalld lists the rules with their handles, which a reload changes.
func (h *labHost) rulesOfFirewalld(t *testing.T) string {
	t.Helper()
	return string(runIn(t, h.ns, "nft -a -s list table inet firewalld"))
}

// lockFirewalldsTable makes nft refuse rules in firewalld's table, as the kernel does where the table
// has the flag owner.
func lockFirewalldsTable(t *testing.T) {
	t.Helper()
	nft, err := exec.LookPath("nft")
	must(t, err)
	dir := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
[ "$1" = -f ] || exec %[1]s "$@"
script=$(cat)
case $script in *"rule inet firewalld"*) echo "Error: Could not process rule: Operation not permitted" >&2; exit 1;; esac
printf '%%s\n' "$script" | %[1]s -f -
`, nft)
	must(t, os.WriteFile(filepath.Join(dir, "nft"), []byte(script), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// Nobody answers for a firewalld whose table is locked: the finding says so.
func TestALockedTableWithoutFirewalldIsNamed(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "nobody"))
	lockFirewalldsTable(t)
	h := newLab(t, 1).hosts[0]
	runIn(t, h.ns, "nft add table inet firewalld '{ chain filter_INPUT { type filter hook input priority 10; policy drop; }; }'")
	h.set()
	background(t, h)
	eventually(t, "the finding says what to do", func() bool {
		found := h.overlay.Firewall()
		return len(found) == 1 && !found[0].Mended && strings.Contains(found[0].Reason, "connect to D-Bus") && strings.Contains(found[0].Remedy, "NftablesTableOwner=no")
	})
}
