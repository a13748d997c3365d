// Package localtest reads the lists of how the embedded cluster differs from the
// recorded Apache Mesos, and holds the replay tests of both halves to them.
package localtest
