package linker

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"tombolo/linker/contest"
	"tombolo/linker/problem"
	"tombolo/overlay"
)

// The status names what another program undoes again and again, how often, and who that may be,
// until it stops. The linker stays ready, because it puts all of it right.
func TestContestedThingsAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := problem.NewSet(slog.New(slog.DiscardHandler))
		c := newContests(p)
		c.root = fstest.MapFS{"etc/sysctl.d/99-cis.conf": {Data: []byte("net.ipv4.ip_forward = 0\n")}}
		go func() { _ = c.run(t.Context()) }()
		forward := []overlay.Repair{{Kind: overlay.KindSysctl, Thing: "net.ipv4.ip_forward = 1"}}
		for range contest.Often {
			if got := p.List(); len(got) != 0 {
				t.Fatalf("problems are %v before the setting is contested, want none", got)
			}
			c.note(forward)
			time.Sleep(time.Second)
		}
		for _, want := range []string{"at least 3 times within 2h", "at least 10 times", "at least 30 times"} {
			got := fmt.Sprint(p.List())
			for _, want := range []string{want, "kernel-contested sysctl net.ipv4.ip_forward = 1: was undone", "perhaps by net.ipv4.ip_forward = 0 in /etc/sysctl.d/99-cis.conf (correct or remove that line)"} {
				if !strings.Contains(got, want) {
					t.Errorf("the problems are %q, want %q in them", got, want)
				}
			}
			if !p.Ready() {
				t.Error("the linker is not ready, although the setting was put right")
			}
			for range 20 {
				c.note(forward)
				time.Sleep(time.Second)
			}
		}
		time.Sleep(contest.Window + time.Minute)
		if got := p.List(); len(got) != 0 {
			t.Errorf("problems are %v after nobody has undone the setting for %v, want none", got, contest.Window)
		}
	})
}
