// Package record is the vocabulary that every part of Tombolo shares: the
// replicated records of hosts, endpoints and apps, the Docker labels that carry
// them on a container, the DNS names they answer to, and their wire codec.
//
// It never does I/O, never reads the clock, and imports nothing of ours.
package record
