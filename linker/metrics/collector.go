package metrics

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"tombolo/linker/api"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// Source is what a linker tells about itself.
type Source interface {
	State() (api.Status, error)
	Snapshot() *record.Snapshot
}

var (
	build    = desc("build_info", "The version of the linker; always 1.", "version")
	ready    = desc("ready", "1 if the linker is ready: no problem of its host is an outage.")
	problems = desc("problems", "Problems that hold now, by the name and the severity that docs/problems.md lists.", "name", "severity")
	peers    = desc("peers", "Other hosts, by their state as this one sees it: alive or suspended.", "state")
	records  = desc("catalog_records", "Records in the catalog, by kind.", "kind")
	rejected = desc("overlay_rejected_packets_total", "Packets that the policy has rejected, by reason.", "reason")
	repairs  = desc("overlay_repairs_total", "Changes of other programs that were undone, by what they changed.", "kind")
	dns      = desc("dns_events_total", "Queries, and what became of them.", "event")
	gossip   = desc("gossip_events_total", "Events of the gossip.", "event")
	catalog  = desc("catalog_events_total", "Events of the catalog.", "event")
	other    = desc("events_total", "Events of the other parts of the linker.", "part", "event")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tombolo_"+name, help, labels, nil)
}

// New returns a collector of what the source tells, and of others.
func New(source Source, others ...prometheus.Collector) prometheus.Collector {
	return collector{source, others}
}

type collector struct {
	source Source
	others []prometheus.Collector
}

func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{build, ready, problems, peers, records, rejected, repairs, dns, gossip, catalog, other} {
		out <- d
	}
	for _, other := range c.others {
		other.Describe(out)
	}
}

func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, other := range c.others {
		other.Collect(out)
	}
	status, err := c.source.State()
	if err != nil {
		out <- prometheus.NewInvalidMetric(ready, err)
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(build, 1, status.Version)
	gauge(ready, map[bool]float64{true: 1}[status.Ready])
	for _, k := range problem.Kinds() {
		n := 0
		for _, p := range status.Problems {
			if p.Name == k.Name {
				n++
			}
		}
		gauge(problems, float64(n), k.Name, string(k.Severity))
	}
	states := map[string]int{"alive": 0, "suspended": 0}
	for _, p := range status.Peers {
		states[p.State]++
	}
	for state, n := range states {
		gauge(peers, float64(n), state)
	}
	s := c.source.Snapshot()
	for kind, n := range map[record.Kind]int{record.KindHost: len(s.Hosts), record.KindEndpoint: len(s.Endpoints), record.KindApp: len(s.Apps)} {
		gauge(records, float64(n), string(kind))
	}
	for _, name := range slices.Sorted(maps.Keys(status.Counters)) {
		d, labels := counter(name)
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(status.Counters[name]), labels...)
	}
}

// counter returns the metric of a counter of api.Status, with the values of its labels.
func counter(name string) (*prometheus.Desc, []string) {
	part, event, _ := strings.Cut(name, ".")
	kind, repaired := strings.CutPrefix(event, "repaired_")
	switch {
	case part == "overlay" && repaired:
		return repairs, []string{kind}
	case part == "overlay":
		return rejected, []string{event}
	case part == "dns":
		return dns, []string{event}
	case part == "gossip":
		return gossip, []string{event}
	case part == "catalog":
		return catalog, []string{event}
	}
	return other, []string{part, event}
}
