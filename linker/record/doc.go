// Package record is the vocabulary that all parts of Tombolo share: the replicated
// records of hosts, endpoints and apps, the Docker labels that carry an endpoint's
// identity, the DNS names of endpoints, and the wire form of records.
//
// It does no I/O, reads no clock, and knows no other part of Tombolo.
//
// Start with Record, then FromLabels.
package record
