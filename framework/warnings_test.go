package framework_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
)

// An app with a link that leads nowhere comes up, with a warning for as long as that is so.
func TestLinksThatLeadNowhereAreWarnings(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		linked := edit(shop(), "web", func(s *app.Service) {
			s.Links = append(s.Links, app.Link{App: "billing", Service: "db", Alias: "bills"})
		})
		billing := func(export *app.Export) app.App {
			a := edit(shop(), "db", func(s *app.Service) { s.Export = export })
			a.Name = "billing"
			return a
		}
		said := func(when string, want ...string) {
			t.Helper()
			b.await("shop", when, time.Minute, func(s api.Status) bool { return s.Up && cmp.Equal(s.Warnings, want) })
		}
		b.put(linked)
		said("alone", "web links to service db of app billing, which is not there")
		b.put(billing(nil))
		said("without consent", "web links to service db of app billing, whose file does not export it to shop")
		b.put(billing(&app.Export{To: []string{"other"}}))
		said("with consent to another", "web links to service db of app billing, whose file does not export it to shop")
		b.put(billing(&app.Export{To: []string{"shop"}}))
		said("with consent")
		b.remove("billing")
		said("alone again", "web links to service db of app billing, which is not there")
	})
}

// An app names those of its hosts whose linkers say that they are not ready, also while it is up.
func TestHostsThatAreNotReadyAreNamed(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.await("shop", "up", time.Minute, func(s api.Status) bool { return s.Up && s.Troubles == nil })
		b.cluster.Trouble("h1", "path-blocked h2: no packet passes")
		want := []string{"host h1 is not ready: path-blocked h2: no packet passes"}
		b.await("shop", "in trouble", time.Minute, func(s api.Status) bool { return s.Up && cmp.Equal(s.Troubles, want) })
		b.cluster.Trouble("h1")
		b.await("shop", "well again", time.Minute, func(s api.Status) bool { return s.Up && s.Troubles == nil })
	})
}
