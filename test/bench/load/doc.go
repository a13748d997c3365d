// Package load makes traffic and measures the answers: DNS queries over UDP with a fixed number
// outstanding, and TCP streams and round trips. It also measures the CPU time of a server's process,
// and has two small servers: a UDP echo and the server of the TCP measurements.
package load
