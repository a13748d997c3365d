// Package mesos is the scheduler's side of the Mesos v1 scheduler HTTP API: one
// subscription, kept alive across masters, and the calls that go with it.
//
//	    ┌────────── back off, next master ◀───────────┐
//	    ▼                                             │
//	subscribing ──SUBSCRIBED──▶ subscribed ──lost──▶ disconnected
//	    │                           │
//	    └── ERROR: removed, failed over, refused ──▶ Run returns
//
// It never decides anything: offers, updates and errors go to its user as they
// came, and it keeps no task.
package mesos
