package framework

import (
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// An agent's host goes by its linker's name for it, or takes nothing.
func TestOffersByHostName(t *testing.T) {
	f := New(Config{Log: slog.New(slog.DiscardHandler)})
	for _, name := range []string{"H1.example.com", "10.0.0.2", "no host", ""} {
		f.offered(mesos.Offer{ID: mesos.OfferID{Value: name}, Hostname: name}, time.Now())
	}
	if diff := cmp.Diff([]string{"10-0-0-2", "h1"}, slices.Sorted(maps.Keys(f.hosts))); diff != "" {
		t.Error(diff)
	}
	if len(f.offers) != 2 {
		t.Errorf("offers %v", f.offers)
	}
}
