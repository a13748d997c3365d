package framework

import (
	"bytes"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// What is reserved for a role is not used, and said once.
func TestReservedOffers(t *testing.T) {
	var log bytes.Buffer
	f := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	ours, scalar := "tombolo", mesos.SCALAR
	for _, id := range []string{"a", "b"} {
		f.offered(mesos.Offer{ID: mesos.OfferID{Value: id}, Hostname: "h1", Resources: []mesos.Resource{
			{Name: "cpus", Type: &scalar, Scalar: &mesos.Value_Scalar{Value: 1}},
			{Name: "cpus", Type: &scalar, Scalar: &mesos.Value_Scalar{Value: 4}, Role: &ours},
		}}, time.Now())
	}
	if got := f.hosts["h1"].cpus; got != 2 {
		t.Errorf("%v CPUs of two offers of 1, and 4 reserved", got)
	}
	if n := strings.Count(log.String(), "reserved for a role"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}

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
