package offers

import (
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/place"
	"tombolo/linker/record"
)

// Offer is an offer that the framework holds: the resources of one agent that it may
// use now.
type Offer struct {
	ID, Agent  string
	Host       string // as the host's linker names it
	CPUs       float64
	MemBytes   int64
	Ports      []place.PortRange
	Attributes map[string]place.Attribute // the agent's
	Reserved   bool                       // it has resources that are reserved for a role; they are not counted
	Since      time.Time
}

// parse counts the resources that the framework may use: not the reserved and the
// revocable ones.
func parse(in mesos.Offer, now time.Time) (*Offer, error) {
	host, err := record.HostName(in.Hostname)
	if err != nil {
		return nil, err
	}
	o := &Offer{ID: in.ID.Value, Agent: in.AgentID.Value, Host: host, Attributes: attributes(in.Attributes), Since: now}
	for _, r := range in.Resources {
		switch {
		case r.Reservation != nil || len(r.Reservations) > 0 || r.GetRole() != "*" && r.GetRole() != "":
			o.Reserved = true
		case r.Revocable == nil:
			o.add(r)
		}
	}
	return o, nil
}

func (o *Offer) add(r mesos.Resource) {
	switch r.Name {
	case "cpus":
		o.CPUs += r.GetScalar().GetValue()
	case "mem":
		o.MemBytes += int64(r.GetScalar().GetValue() * (1 << 20))
	case "ports":
		for _, span := range r.GetRanges().GetRange() {
			o.Ports = append(o.Ports, place.PortRange{First: uint16(span.Begin), Last: uint16(min(span.End, 65535))})
		}
	}
}

func attributes(in []mesos.Attribute) map[string]place.Attribute {
	out := map[string]place.Attribute{}
	for _, a := range in {
		var v place.Attribute
		switch {
		case a.Text != nil:
			v.Text = a.Text.Value
		case a.Scalar != nil:
			v.Kind, v.Number = place.Scalar, a.Scalar.Value
		case a.Ranges != nil:
			v.Kind = place.Ranges
			for _, span := range a.Ranges.Range {
				v.Ranges = append(v.Ranges, place.Range{First: span.Begin, Last: span.End})
			}
		case a.Set != nil:
			v.Kind, v.Set = place.Set, a.Set.Item
		}
		out[a.Name] = v
	}
	return out
}
