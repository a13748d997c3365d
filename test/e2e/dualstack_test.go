package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestContainersReachEachOtherOverIPv6(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	db6 := db.address6(t)
	if !testLab.Pool6.Contains(netip.MustParseAddr(db6)) {
		t.Errorf("db has the address %s, which is not in the lab's pool %s", db6, testLab.Pool6)
	}
	if out := web.reaches(t, "["+db6+"]:5432"); !strings.Contains(out, "shop-db-0: hello") {
		t.Errorf("db answered %q over IPv6, want a line that starts with shop-db-0: hello", out)
	}
	within(t, func(ctx context.Context) error {
		out, err := web.exec(ctx, "lookup", "tasks.db")
		if got := strings.Fields(out); err != nil || len(got) != 2 || !strings.Contains(out, db6) || !strings.Contains(out, db.address(t)) {
			return fmt.Errorf("the name tasks.db has the addresses %q, want one of each family: %w", got, err)
		}
		return nil
	})
	for _, h := range []int{0, 2} { // the container's own host, and another
		inHost(t, testLab.Hosts[h], "bash", "-c", "exec 3<>/dev/tcp/"+db6+"/5432")
	}
	stranger := start(t, 2, spec{app: "stranger", service: "tool", args: []string{"serve", "80"}})
	stranger.reaches(t, "tool:80")
	stranger.refuses(t, "["+db6+"]:5432")
}

// A process may look at its addresses as soon as it starts.
func TestContainersHaveIPv6WhenTheirProcessStarts(t *testing.T) {
	h := testLab.Hosts[0]
	for n := range 10 {
		out, err := docker(t.Context(), h, "run", "--rm", "--network", "tombolo", image, "addresses")
		if err != nil {
			t.Fatalf("docker run: %v: %s", err, out)
		}
		if addrs := strings.Fields(out); len(addrs) != 2 || !testLab.Pool6.Contains(netip.MustParseAddr(addrs[1])) {
			t.Errorf("container %d started with the addresses %q, want an IPv4 and an IPv6 address", n, addrs)
		}
	}
}

func TestForgedIPv6SourceReachesNobody(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"catch", "9999"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	stranger := start(t, 1, spec{app: "stranger", service: "tool", flags: []string{"--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN"}, args: []string{"serve", "80"}})
	db6, web6 := db.address6(t), web.address6(t)

	// The same packet arrives when the owner of the address sends it.
	within(t, func(ctx context.Context) error {
		if out, err := web.exec(ctx, "forge", web6, db6, "9999"); err != nil {
			return fmt.Errorf("web sends with its own address: %w: %s", err, out)
		}
		if !strings.Contains(db.logs(t), web6) {
			return fmt.Errorf("web's own packet has not arrived at db")
		}
		return nil
	})
	stranger.forges(t, web6, db, db6)
}

// address6 returns the container's IPv6 overlay address.
func (c container) address6(t *testing.T) string {
	t.Helper()
	out, err := c.exec(t.Context(), "addresses")
	if err != nil {
		t.Fatalf("addresses of %s: %v: %q", c.name, err, out)
	}
	for _, addr := range strings.Fields(out) {
		if netip.MustParseAddr(addr).Is6() {
			return addr
		}
	}
	t.Fatalf("%s has no IPv6 address, only %q", c.name, out)
	return ""
}
