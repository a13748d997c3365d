package reach

import "tombolo/linker/record"

// Relation is the reach relation of one snapshot. Of indexes the snapshot once,
// in time linear in its size; the methods then look at what they return only.
// It is immutable and safe for concurrent use.
type Relation struct {
	s *record.Snapshot
}

// Of returns the relation of s, which must not change.
func Of(s *record.Snapshot) *Relation { return &Relation{s: s} }

// Grant lets From reach To, a local endpoint. Nil Ports means every port and
// protocol.
type Grant struct {
	From, To *record.Endpoint
	Ports    []record.Port
}

// Allowed reports whether endpoint from (by ID) may reach port of endpoint to.
// Port.Number 0 asks for any port at all; an unset Proto is "tcp".
func (r *Relation) Allowed(from, to string, port record.Port) bool { return false }

// Names returns what endpoint from (by ID) sees: nothing when it is unknown or of
// no app.
func (r *Relation) Names(from string) record.View { return record.View{} }

// HostView returns what the host and its operator see: every app by names
// relative to the zone (db.shop), every host, every address.
func (r *Relation) HostView() record.View { return record.View{} }

// Grants returns what the endpoints of host may receive from other endpoints,
// sorted by To.ID and From.ID.
func (r *Relation) Grants(host string) []Grant { return nil }

// Allowed is Of(s).Allowed for a single question.
func Allowed(s *record.Snapshot, from, to string, port record.Port) bool {
	return Of(s).Allowed(from, to, port)
}

// Names is Of(s).Names for a single question.
func Names(s *record.Snapshot, from string) record.View { return Of(s).Names(from) }

// HostView is Of(s).HostView.
func HostView(s *record.Snapshot) record.View { return Of(s).HostView() }

// Grants is Of(s).Grants for a single question.
func Grants(s *record.Snapshot, host string) []Grant { return Of(s).Grants(host) }
