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

// Resources that are reserved for a role are not used, and one log line says so.
func TestReservedResourcesAreNotUsed(t *testing.T) {
	var log bytes.Buffer
	f := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	ours, scalar := "tombolo", mesos.SCALAR
	for _, id := range []string{"a", "b"} {
		f.offered(mesos.Offer{ID: mesos.OfferID{Value: id}, Hostname: "h1", Resources: []mesos.Resource{
			{Name: "cpus", Type: &scalar, Scalar: &mesos.Value_Scalar{Value: 1}},
			{Name: "cpus", Type: &scalar, Scalar: &mesos.Value_Scalar{Value: 4}, Role: &ours},
		}}, time.Now())
	}
	if got := f.model.hosts["h1"].cpus; got != 2 {
		t.Errorf("the host has %v CPUs of two offers with 1 each and 4 reserved, want 2", got)
	}
	if n := strings.Count(log.String(), "reserved for a role"); n != 1 {
		t.Errorf("the log says %d times that resources are reserved, want once:\n%s", n, log.String())
	}
}

// A host has the name that its linker has. An agent whose name cannot be a linker's is not used.
func TestHostsAreNamedLikeTheirLinkers(t *testing.T) {
	f := New(Config{Log: slog.New(slog.DiscardHandler)})
	for _, name := range []string{"H1.example.com", "10.0.0.2", "no host", ""} {
		f.offered(mesos.Offer{ID: mesos.OfferID{Value: name}, Hostname: name}, time.Now())
	}
	if diff := cmp.Diff([]string{"10-0-0-2", "h1"}, slices.Sorted(maps.Keys(f.model.hosts))); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if held := f.offers.Hosts(); len(held) != 2 {
		t.Errorf("offers of %d hosts are held, want 2: %v", len(held), held)
	}
}
