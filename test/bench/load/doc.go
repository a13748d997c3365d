// Package load makes traffic and measures what comes back: DNS queries over UDP with
// a fixed number outstanding, TCP streams and round trips, and the CPU time that a
// server's process spends meanwhile. It also has the servers that need no more than
// a few lines: a UDP echo and the far end of the TCP tests.
package load
