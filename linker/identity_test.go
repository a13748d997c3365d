package linker

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tombolo/linker/block"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// A machine is renamed while containers run. It keeps its identity, its block, its containers
// and their names; peers see the new name.
func TestARenamedMachineKeepsEverything(t *testing.T) {
	a, b := newTestHost(t, 42), newTestHost(t, 43)
	b.cfg.Join = []string{a.cfg.Underlay.String()}
	a.start(t)
	b.start(t)
	a.awaitBlock(t)
	block4 := b.awaitBlock(t)
	a.run(t, "web", labels("web"))
	db := b.run(t, "database", labels("db"))
	eventually(t, "db is announced", func() bool { return b.localEndpoint(db) != nil && b.localEndpoint(db).Running })
	addr := b.localEndpoint(db).Addr4
	b.stop()
	b.cfg.Host = "renamed"
	b.start(t)
	eventually(t, "the other host knows the new name", func() bool {
		h := a.catalog.Snapshot().Hosts["h43"]
		return h != nil && h.Name == "renamed" && h.Block4 == block4 && h.Restarting == 0
	})
	eventually(t, "db is announced again", func() bool { return b.localEndpoint(db) != nil && b.localEndpoint(db).Running })
	if got := b.block.Current(); got == nil || got.Block4 != block4 || b.localEndpoint(db).Addr4 != addr {
		t.Errorf("after its new name the host has %v and db is at %s, want %s and %s", got, b.localEndpoint(db).Addr4, block4, addr)
	}
	if _, err := b.table.Reserve(t.Context(), netip.Addr{}); err != nil {
		t.Errorf("the renamed host gives no address to a new container: %v", err)
	}
	if open, why := b.effective.get().Outside(record.EndpointKey("h43", db)); !open {
		t.Errorf("db has no egress: %s", why)
	}
	c := a.client(t)
	eventually(t, "names lead to its containers and to the host", func() bool {
		r, err := c.Resolve(t.Context(), "db", "web")
		host, hostErr := c.Resolve(t.Context(), "renamed.host", "")
		return err == nil && hostErr == nil && len(r.Instances) == 1 && r.Instances[0].Addr4 == addr && len(host.Targets) == 1
	})
	a.stop()
	b.stop()
}

// A host keeps its identity when its name changes. A state file of an earlier version gives its name as identity.
func TestIdentityOfTheStateFile(t *testing.T) {
	own := record.Host{Name: "h33", Underlay: netip.MustParseAddr("198.18.0.33"), Block4: netip.MustParsePrefix("100.64.33.0/24"), Hold: record.HoldSettled, Claimed: day}
	other := record.Host{Name: "h34", Underlay: netip.MustParseAddr("198.18.0.34"), Block4: netip.MustParsePrefix("100.64.34.0/24"), Hold: record.HoldSettled, Claimed: day}
	earlier := stateDocument{Epoch: 7, Claim: block.Claim{Block4: own.Block4, Claimed: day}}
	for name, tt := range map[string]struct {
		doc  *stateDocument
		host string
		addr string
		want string // "": a new one
	}{
		"a new host":                                    {nil, "h40", "198.18.0.40", ""},
		"a host that has an identity":                   {&stateDocument{Identity: "abc", Epoch: 7}, "h33", "198.18.0.33", "abc"},
		"an earlier version's":                          {&earlier, "h33", "198.18.0.33", "h33"},
		"an earlier version's, of a renamed machine":    {&earlier, "new-name", "198.18.0.33", "h33"},
		"an earlier version's, without a block":         {&stateDocument{Epoch: 7}, "h40", "198.18.0.40", "h40"},
		"a lost state file":                             {nil, "h33", "198.18.0.33", "h33"},
		"another machine with the name of a known host": {nil, "h33", "198.18.0.40", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Host: tt.host, Underlay: netip.MustParseAddr(tt.addr), StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
			var packets [][]byte
			for _, h := range []*record.Host{&other, &own} {
				packet, err := record.Encode(record.Record{Key: record.Key{Kind: record.KindHost, Name: h.Name}, Owner: h.Name, Version: record.Version{Epoch: 6, Seq: 1}, Host: h})
				if err != nil {
					t.Fatal(err)
				}
				packets = append(packets, packet)
			}
			write(t, catalogPath(cfg.StateDir), packets)
			if tt.doc != nil {
				write(t, filepath.Join(cfg.StateDir, "linker.json"), tt.doc)
			}
			for range 2 { // it is the same in the next run
				s, err := openState(cfg, problem.NewSet(cfg.Log))
				if err != nil {
					t.Fatal(err)
				}
				got := s.get().Identity
				if tt.want == "" {
					if len(got) != 16 || strings.HasPrefix(got, "h3") && len(got) < 16 {
						t.Errorf("the identity is %q, want a random one", got)
					}
					tt.want, tt.host = got, "renamed"
				} else if got != tt.want {
					t.Errorf("the identity is %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func write(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A machine that has lost its disk finds itself among the hosts that do not answer, by its name
// and its address, and takes up its identity again.
func TestAMachineThatLostItsDiskFindsItself(t *testing.T) {
	a, b := newTestHost(t, 44), newTestHost(t, 45)
	b.cfg.Join = []string{a.cfg.Underlay.String()}
	a.start(t)
	b.start(t)
	a.awaitBlock(t)
	block4 := b.awaitBlock(t)
	eventually(t, "the other host knows the block", func() bool { return a.catalog.Snapshot().Hosts["h45"] != nil })
	b.stop()
	if err := os.RemoveAll(b.cfg.StateDir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other host does not hear it", func() bool { return !a.gossip.Members()[0].Alive })
	select {
	case err := <-b.startOn(t.Context(), t, newPlane()):
		if err != nil { // nil: its supervisor starts it again
			t.Fatalf("Run returned %v, want nil after the identity was found", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("it goes on as %s with claim %+v, want its earlier identity", b.host.id, b.block.Current())
	}
	b.start(t)
	if got := b.awaitBlock(t); got != block4 || b.host.id != "h45" {
		t.Errorf("it is %s with block %s, want h45 with %s", b.host.id, got, block4)
	}
	a.stop()
	b.stop()
}
