// Package metrics shows the state of a framework to Prometheus. Start reading at New.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tombolo/framework/api"
)

// Source is what a framework tells about itself.
type Source struct {
	Snapshot func() *api.Snapshot
	Stats    func() Stats
}

// Stats are counts that no snapshot has, see framework.Stats.
type Stats struct {
	Offers             int
	Calls, FailedCalls map[string]uint64 // by type
}

var (
	build     = desc("build_info", "The version of the framework; always 1.", "version")
	connected = desc("connected", "1 if the framework is subscribed to a master.")
	apps      = desc("apps", "Apps, by state: up, pending, failed (cannot come up without a change) or removing.", "state")
	instances = desc("instances", "Instances of all apps, by state.", "state")
	hosts     = desc("hosts", "Hosts of the cluster, by what is known of their linkers: up, down or unknown.", "linker")
	offers    = desc("offers", "Resource offers that are held now.")
	calls     = desc("calls_total", "Calls that the master has taken, by type.", "type")
	failures  = desc("call_failures_total", "Attempts to make a call to the master that failed, by type.", "type")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tombolo_framework_"+name, help, labels, nil)
}

// New returns a collector of what the source tells.
func New(source Source) prometheus.Collector { return collector{source} }

type collector struct{ source Source }

func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{build, connected, apps, instances, hosts, offers, calls, failures} {
		out <- d
	}
}

// states are the states of instances. Those without an instance are shown as 0.
var states = []api.State{
	api.StateWaiting, api.StateStaging, api.StateRunning, api.StateHealthy, api.StateUp, api.StateUnhealthy,
	api.StateStopping, api.StateFailed, api.StateDone, api.StateLost,
}

func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	s, stats := c.source.Snapshot(), c.source.Stats()
	gauge(build, 1, s.Info.Version)
	gauge(connected, map[bool]int{true: 1}[s.Info.Connected])
	for state, n := range appsByState(s) {
		gauge(apps, n, state)
	}
	for state, n := range instancesByState(s) {
		gauge(instances, n, string(state))
	}
	linkers := map[string]int{"up": 0, "down": 0, "unknown": 0}
	for _, h := range s.Info.Hosts {
		linkers[h.Linker]++
	}
	for state, n := range linkers {
		gauge(hosts, n, state)
	}
	gauge(offers, stats.Offers)
	for d, counts := range map[*prometheus.Desc]map[string]uint64{calls: stats.Calls, failures: stats.FailedCalls} {
		for kind, n := range counts {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), kind)
		}
	}
}

func appsByState(s *api.Snapshot) map[string]int {
	n := map[string]int{"up": 0, "pending": 0, "failed": 0, "removing": 0}
	for _, a := range s.Apps.All() {
		switch {
		case a.Status.Removing:
			n["removing"]++
		case a.Status.Up:
			n["up"]++
		case a.Status.Failed != "":
			n["failed"]++
		default:
			n["pending"]++
		}
	}
	return n
}

func instancesByState(s *api.Snapshot) map[api.State]int {
	n := map[api.State]int{}
	for _, state := range states {
		n[state] = 0
	}
	for _, a := range s.Apps.All() {
		for _, i := range a.Status.Instances {
			n[i.State]++
		}
	}
	return n
}
