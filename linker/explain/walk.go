package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"tombolo/linker/record"
)

// State is the result of a step.
type State string

// The results of a step.
const (
	OK      State = "ok"
	Failed  State = "failed"
	Unknown State = "unknown" // the facts are missing, because a linker could not be asked
)

// Step is one step of the way.
type Step struct {
	Name   string `json:"name"`
	Host   string `json:"host,omitempty"` // that was looked at; "": none, or both
	State  State  `json:"state"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"` // only if it failed
}

// Explanation is the way that Walk went. It ends with the first step that fails.
type Explanation struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Steps []Step `json:"steps"`
}

// Failure returns the step that failed; nil if none did.
func (e Explanation) Failure() *Step {
	if n := len(e.Steps); n > 0 && e.Steps[n-1].State == Failed {
		return &e.Steps[n-1]
	}
	return nil
}

// Walk goes the way of a packet from f.From to f.To until a step fails.
func Walk(f Facts) Explanation {
	w := &walk{Facts: f, out: Explanation{From: f.From.Text, To: f.To.Text}}
	if f.Port.Number != 0 {
		w.out.To += fmt.Sprintf(":%d/%s", f.Port.Number, f.Port.Proto)
	}
	switch {
	case f.From.Outside:
		w.first(w.target, w.published, w.hostsWork, w.ends)
	case f.To.Outside:
		w.first(w.asker, w.egress, w.hostsWork)
	case f.To.Key() == "" && f.To.Addr.IsValid():
		w.first(w.asker, w.addressOfNobody)
	default:
		w.first(w.asker, w.name, w.target, w.permission, w.hostsWork, w.ways)
	}
	return w.out
}

// walk is a walk under way. Each of its steps reports whether it may go on.
type walk struct {
	Facts
	out       Explanation
	instances []*record.Endpoint // to which the way may lead
}

func (w *walk) first(steps ...func() bool) {
	for _, step := range steps {
		if !step() {
			return
		}
	}
}

func (w *walk) ok(name, host, format string, args ...any) bool {
	w.out.Steps = append(w.out.Steps, Step{Name: name, Host: host, State: OK, Found: fmt.Sprintf(format, args...)})
	return true
}

func (w *walk) unknown(name, host, found string) bool {
	w.out.Steps = append(w.out.Steps, Step{Name: name, Host: host, State: Unknown, Found: found})
	return true
}

func (w *walk) failed(step Step) bool {
	step.State = Failed
	w.out.Steps = append(w.out.Steps, step)
	return false
}

// asker checks that the container that sends runs.
func (w *walk) asker() bool {
	if w.From.Key() == "" {
		return w.failed(Step{Name: "asker", Found: fmt.Sprintf("no host announces a container of %s", w.From.Text), Remedy: "tombolo ps -a says why it does not run"})
	}
	ep := w.From.Endpoints[0]
	if step := w.running("asker", ep); step != nil {
		return w.failed(*step)
	}
	return w.ok("asker", ep.Host, "%s runs on %s with %s", describe(ep), ep.Host, addresses(ep))
}

// running returns the step that fails because ep does not run; nil if it does.
func (w *walk) running(name string, ep *record.Endpoint) *Step {
	switch {
	case w.Snapshot.Suspended[ep.Host]:
		return &Step{Name: name, Host: ep.Host,
			Found:  fmt.Sprintf("the linker of %s does not answer, so no name leads to its containers", ep.Host),
			Remedy: fmt.Sprintf("on %s: tombolo doctor; start its linker, and let port 7980 TCP and UDP pass between the hosts", ep.Host)}
	case !ep.Running:
		return &Step{Name: name, Host: ep.Host, Found: fmt.Sprintf("%s does not run: it has ended, or is paused", describe(ep)),
			Remedy: fmt.Sprintf("tombolo ps -a says why; on %s: docker ps -a, docker unpause %s", ep.Host, ep.ContainerName)}
	}
	return nil
}

// name checks what To's name means to the asker.
func (w *walk) name() bool {
	host := w.From.Endpoints[0].Host
	if w.Name == "" {
		return true
	}
	if w.Resolved == nil {
		return w.unknown("name", host, w.notAsked(host))
	}
	if !w.Resolved.Exists {
		step := Step{Name: "name", Host: host, Found: fmt.Sprintf("%s does not exist for %s (NXDOMAIN)", w.Name, w.From.Text),
			Remedy: "use one of its names: docs/names-and-dns.md; tombolo resolve NAME shows what a name leads to"}
		if to := w.To.Key(); to != "" {
			if why := w.Relation.Why(w.From.Key(), to, record.Port{}); !why.Allowed {
				step.Found += ", because " + why.Reason
				step.Remedy = why.Remedy
			}
		}
		return w.failed(step)
	}
	if answer := w.Ways[w.way()].Answer; answer != nil && answer.Error != "" {
		return w.failed(Step{Name: "name", Host: host, Found: fmt.Sprintf("the container gets no answer to DNS queries: %s", answer.Error),
			Remedy: fmt.Sprintf("on %s: tombolo doctor; a firewall that drops port 53 from the interfaces tb* is the usual cause", host)})
	}
	if len(w.Resolved.Addresses) == 0 {
		return true // target says why
	}
	return w.ok("name", host, "%s is %s", w.Name, join(w.Resolved.Addresses))
}

// way returns the key of one of the ways that were looked at, the first of the instances.
func (w *walk) way() string {
	for _, ep := range w.To.Endpoints {
		if _, ok := w.Ways[ep.Key()]; ok {
			return ep.Key()
		}
	}
	return ""
}

// target finds the instances that take new connections.
func (w *walk) target() bool {
	if len(w.To.Endpoints) == 0 {
		return w.failed(Step{Name: "target", Found: fmt.Sprintf("no instance of %s runs", w.To.Text),
			Remedy: "tombolo ps -a says why; tombolo up starts it"})
	}
	var why *Step
	for _, ep := range w.To.Endpoints {
		step := w.answering(ep)
		if step == nil {
			w.instances = append(w.instances, ep)
		} else if why == nil {
			why = step
		}
	}
	if len(w.instances) == 0 {
		return w.failed(*why)
	}
	return w.ok("target", "", "%s", list(w.instances, func(ep *record.Endpoint) string { return describe(ep) + " on " + ep.Host }))
}

// answering returns the step that fails because no name leads to ep; nil if one does.
func (w *walk) answering(ep *record.Endpoint) *Step {
	if step := w.running("target", ep); step != nil {
		return step
	}
	sibling := ep.Service != "" && w.From.App == ep.App && w.From.Service == ep.Service
	switch {
	case sibling, w.Name == "" && !w.From.Outside: // an address leads there, whatever the health is
		return nil
	case w.Relation.Answers(ep.Key()):
		return nil
	case ep.Answering():
		return &Step{Name: "target", Host: ep.Host, Found: fmt.Sprintf("%s is being replaced or drained, so no name leads to it", describe(ep)),
			Remedy: "wait for the update to end: tombolo ps"}
	}
	found := fmt.Sprintf("%s is unhealthy, so no name leads to it", describe(ep))
	if ep.Health == record.HealthStarting {
		found = fmt.Sprintf("%s is still starting: its health check has not succeeded yet, so no name leads to it", describe(ep))
	}
	return &Step{Name: "target", Host: ep.Host, Found: found,
		Remedy: fmt.Sprintf("tombolo ps shows what the health check printed; on %s: docker inspect --format '{{json .State.Health}}' %s", ep.Host, ep.ContainerName)}
}

// permission asks the reach relation, which policy and DNS views come from.
func (w *walk) permission() bool {
	why := w.Relation.Why(w.From.Key(), w.instances[0].Key(), w.Port)
	if !why.Allowed {
		return w.failed(Step{Name: "policy", Found: why.Reason, Remedy: why.Remedy})
	}
	return w.ok("policy", "", "%s", why.Reason)
}

// egress checks that the asker may leave the overlay.
func (w *walk) egress() bool {
	host := w.From.Endpoints[0].Host
	if ok, why := w.Relation.Outside(w.From.Key()); !ok {
		return w.failed(Step{Name: "policy", Host: host, Found: fmt.Sprintf("%s may not reach the outside: %s", w.From.Text, why),
			Remedy: "add a network without internal: true to the service"})
	}
	return w.ok("policy", host, "%s may reach the outside, with the address of %s", w.From.Text, host)
}

// addressOfNobody is the end of the way to an address that no container has.
func (w *walk) addressOfNobody() bool {
	if look, ok := w.Ways[""]; ok && look.Connection != nil && look.Connection.Outcome == "connected" {
		return w.ok("target", "", "no container has the address %s, but something answers there: a service's address, or a machine outside of the overlay", w.To.Addr)
	}
	return w.failed(Step{Name: "target", Found: fmt.Sprintf("no container of the overlay has the address %s", w.To.Addr),
		Remedy: "use a name: containers get new addresses when they are replaced, and the address of a service is valid on one host only"})
}

// hostsWork looks at the outages of the hosts on both ends.
func (w *walk) hostsWork() bool {
	var names []string
	for _, ep := range append(slices.Clone(w.From.Endpoints[:min(1, len(w.From.Endpoints))]), w.instances...) {
		if !slices.Contains(names, ep.Host) {
			names = append(names, ep.Host)
		}
	}
	for _, name := range names {
		h, asked := w.Hosts[name]
		if !asked || h.Error != "" {
			w.unknown("host", name, w.notAsked(name))
			continue
		}
		if !w.hostWorks(name, h, names) {
			return false
		}
	}
	return true
}

func (w *walk) hostWorks(name string, h Host, concerned []string) bool {
	for _, p := range h.Problems {
		elsewhere := p.Subject != "" && w.Snapshot.Hosts[p.Subject] != nil && !slices.Contains(concerned, p.Subject)
		if p.Severity != "outage" || elsewhere {
			continue // a problem with a third host
		}
		step := "host"
		if w.Snapshot.Hosts[p.Subject] != nil {
			step = "tunnel"
		}
		return w.failed(Step{Name: step, Host: name, Found: p.Name + ": " + p.Reason, Remedy: p.Remedy})
	}
	return w.ok("host", name, "the linker of %s has no outage", name)
}

func (w *walk) notAsked(host string) string {
	if h, ok := w.Hosts[host]; ok && h.Error != "" {
		return fmt.Sprintf("the linker of %s cannot be asked: %s", host, h.Error)
	}
	return fmt.Sprintf("the linker of %s cannot be asked from here: run the command there too", host)
}

// describe names an endpoint as people do.
func describe(ep *record.Endpoint) string {
	switch {
	case ep.Service == "":
		return "container " + ep.ContainerName
	case ep.Slot == 0:
		return ep.App + "/" + ep.Service + " (container " + ep.ContainerName + ")"
	}
	return fmt.Sprintf("%s/%s.%d", ep.App, ep.Service, ep.Slot)
}

func addresses(ep *record.Endpoint) string {
	var all []netip.Addr
	for _, a := range []netip.Addr{ep.Addr4, ep.Addr6} {
		if a.IsValid() {
			all = append(all, a)
		}
	}
	return join(all)
}

func join(all []netip.Addr) string {
	var texts []string
	for _, a := range all {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}

func list[T any](all []T, text func(T) string) string {
	var texts []string
	for _, v := range all {
		texts = append(texts, text(v))
	}
	return strings.Join(texts, ", ")
}
