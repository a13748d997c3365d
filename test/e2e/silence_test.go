package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// A container that policy refuses, and one that asks for an address that nobody has, is told at once.
// So is a client of a host that has died.
func TestRefusalsAreAnsweredAtOnce(t *testing.T) {
	db := start(t, 2, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	stranger := start(t, 1, spec{app: "stranger", service: "tool", args: []string{"serve", "80"}})
	stranger.reaches(t, "tool:80")
	address := db.address(t)
	nobody := address[:strings.LastIndex(address, ".")] + ".250"
	stranger.isRefused(t, address+":5432")
	stranger.isRefused(t, "["+db.address6(t)+"]:5432")
	stranger.isRefused(t, web.address(t)+":80")
	web.isRefused(t, nobody+":5432")
	kill(t, testLab.Hosts[2].Name)
	within(t, func(ctx context.Context) error {
		if out, err := web.exec(ctx, "dial", address+":5432"); err == nil || !strings.Contains(out, "refused") {
			return fmt.Errorf("web dials db on a dead host: %w: %s; want it refused at once", err, out)
		}
		return nil
	})
}
