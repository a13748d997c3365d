package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
)

// These four apps use every way in which one service can reach another. Some services have the same
// name in two apps; the host name of each tells which one answered.
var (
	longName = strings.Repeat("n", 63)

	reachAlpha = `
  db: {image: %IMAGE%, hostname: alpha-db, command: [serve, "80"], container_name: Alpha-Database, networks: {default: {aliases: [store]}}}
  web: {image: %IMAGE%, hostname: alpha-web, command: [serve, "80"]}
  open: {image: %IMAGE%, hostname: alpha-open, command: [serve, "80"], x-tombolo: {export: [beta]}}
  vault: {image: %IMAGE%, hostname: alpha-vault, command: [serve, "80"], networks: [inside]}
  ` + longName + `: {image: %IMAGE%, hostname: alpha-long, command: [serve, "80"], networks: [inside]}
networks: {inside: {internal: true}}
`
	reachBeta = `
  db: {image: %IMAGE%, hostname: beta-db, command: [serve, "80"]}
  web: {image: %IMAGE%, hostname: beta-web, command: [serve, "80"], external_links: ["open.alpha:partner"], networks: [default, market]}
networks: {market: {external: true, name: market}}
`
	reachGamma = `
  thief: {image: %IMAGE%, hostname: gamma-thief, command: [serve, "80"], external_links: ["open.alpha:partner"]}
  stall: {image: %IMAGE%, hostname: gamma-stall, command: [serve, "80"], networks: {market: {aliases: [counter]}}}
networks: {market: {external: true, name: market}}
`
	reachDelta = `
  db: {image: %IMAGE%, hostname: delta-db, command: [serve, "80"]}
  web: {image: %IMAGE%, hostname: delta-web, command: [serve, "80"], links: ["db:store"]}
  spy: {image: %IMAGE%, hostname: delta-spy, command: [serve, "80"]}
x-tombolo: {isolation: links}
`
)

// openWays are names that reach the service with the host name answers. The services are written as
// APP.SERVICE.
var openWays = []struct{ from, name, answers string }{
	{"alpha.web", "db", "alpha-db"}, // each app has its own db
	{"beta.web", "db", "beta-db"},
	{"alpha.web", "store", "alpha-db"},
	{"alpha.web", "alpha-database", "alpha-db"},
	{"alpha.web", "alpha-db", "alpha-db"},
	{"alpha.vault", longName, "alpha-long"},
	{"alpha.vault", longName + ".alpha.tombolo.internal", "alpha-long"},
	{"beta.web", "partner", "alpha-open"}, // beta asks for it and alpha exports it
	{"beta.web", "open.alpha.tombolo.internal", "alpha-open"},
	{"beta.web", "stall", "gamma-stall"}, // both are on one external network
	{"beta.web", "counter", "gamma-stall"},
	{"gamma.stall", "web.beta.tombolo.internal", "beta-web"},
	{"delta.web", "db", "delta-db"}, // strict isolation: only by link
	{"delta.web", "store", "delta-db"},
}

// closedWays are names and addresses that must not be reached. "@APP.SERVICE" stands for the address
// of that service.
var closedWays = []struct{ from, to string }{
	{"alpha.web", "vault"}, // not on a network of web
	{"alpha.web", "@alpha.vault"},
	{"alpha.web", "stall"},
	{"alpha.open", "web.beta.tombolo.internal"}, // a link has a direction
	{"alpha.open", "@beta.web"},
	{"beta.web", "db.alpha.tombolo.internal"}, // db is not exported
	{"beta.web", "@alpha.db"},
	{"beta.db", "partner"}, // only web has the link
	{"beta.db", "@alpha.open"},
	{"gamma.thief", "partner"}, // exported to beta only
	{"gamma.thief", "@alpha.open"},
	{"gamma.thief", "stall"},
	{"gamma.stall", "db.beta.tombolo.internal"},
	{"delta.spy", "db"},
	{"delta.spy", "@delta.db"},
	{"delta.db", "web"},
	{"delta.db", "@delta.web"},
}

func TestServicesReachWhatTheirFilesAllow(t *testing.T) {
	who := map[string]api.Instance{}
	for app, text := range map[string]string{"alpha": reachAlpha, "beta": reachBeta, "gamma": reachGamma, "delta": reachDelta} {
		file := compose(t, app, text)
		if _, err := tombolo.Must(t.Context(), "-f", file, "up", "-d"); err != nil {
			t.Fatal(err)
		}
	}
	for app, n := range map[string]int{"alpha": 5, "beta": 2, "gamma": 2, "delta": 3} {
		for _, i := range allUp(t, app, n) {
			who[app+"."+i.Service] = i
		}
	}
	for _, way := range openWays {
		within(t, func(ctx context.Context) error {
			out, err := inInstance(ctx, who[way.from], "dial", way.name+":80")
			if err != nil || !strings.HasPrefix(out, way.answers+":") {
				return fmt.Errorf("%s dials %s and gets %q, want an answer of %s: %w", way.from, way.name, out, way.answers, err)
			}
			return nil
		})
	}
	var closed sync.WaitGroup // these dials run at once because a dropped one takes seconds
	for _, way := range closedWays {
		closed.Go(func() {
			to := way.to
			if service, ok := strings.CutPrefix(to, "@"); ok {
				to = who[service].Address
			}
			if out, err := inInstance(t.Context(), who[way.from], "dial", to+":80"); err == nil {
				t.Errorf("%s reaches %s (%s), want no way there: %s", way.from, way.to, to, out)
			}
		})
	}
	closed.Wait()
	checkEgress(t, who["alpha.web"], who["alpha.vault"])
}

// checkEgress dials the lab's registry, which is outside of the overlay.
func checkEgress(t *testing.T, open, closed api.Instance) {
	t.Helper()
	outside := fmt.Sprintf("%s:%d", lab.Gateway, lab.RegistryPort)
	if out, err := inInstance(t.Context(), open, "dial", outside); err != nil {
		t.Errorf("%s cannot reach the outside: %v: %s", open.Service, err, out)
	}
	if out, err := inInstance(t.Context(), closed, "dial", outside); err == nil {
		t.Errorf("%s reaches the outside from an internal network: %s", closed.Service, out)
	}
}

// Links and aliases are in the app record and not in containers. A change of them replaces nothing.
func TestLinksChangeWhileContainersRun(t *testing.T) {
	file := compose(t, "relinked", `
  db: {image: %IMAGE%, command: [serve, "80"], x-tombolo: {export: false}}
  web: {image: %IMAGE%, command: [serve, "80"], links: []}
x-tombolo: {isolation: links}
`)
	up(t, file)
	web, db := instance(t, "relinked", "web", 1), instance(t, "relinked", "db", 1)
	rewrite(t, file, "links: []", `links: ["db:store"]`)
	up(t, file)
	within(t, func(ctx context.Context) error {
		out, err := inInstance(ctx, web, "dial", "store:80")
		if err != nil {
			return fmt.Errorf("web dials store: %w: %s", err, out)
		}
		return nil
	})
	rewrite(t, file, `["db:store"]`, "[]")
	up(t, file)
	for _, target := range []string{"store:80", db.Address + ":80"} {
		within(t, func(ctx context.Context) error {
			if out, err := inInstance(ctx, web, "dial", target); err == nil {
				return fmt.Errorf("web reaches %s without a link: %s", target, out)
			}
			return nil
		})
	}
	if now := instance(t, "relinked", "web", 1); now.Container != web.Container {
		t.Error("web was replaced")
	}
	if now := instance(t, "relinked", "db", 1); now.Container != db.Container {
		t.Error("db was replaced")
	}
}
