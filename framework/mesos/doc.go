// Package mesos is a client of the Mesos v1 scheduler HTTP API
// (http://mesos.apache.org/documentation/latest/scheduler-http-api/). It keeps one
// subscription alive, whichever master leads, and makes the calls that belong to it.
//
//	    ┌────────── back off, next master ◀───────────┐
//	    ▼                                             │
//	subscribing ──SUBSCRIBED──▶ subscribed ──lost──▶ disconnected
//	    │                           │
//	    └── ERROR: removed, failed over, refused ──▶ Run returns
//
// It decides nothing about offers and tasks and keeps none: events and errors go to its
// user as they came. Start reading at Client.
package mesos
