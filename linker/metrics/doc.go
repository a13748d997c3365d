// Package metrics shows the state of a linker to Prometheus: its problems, the counters of its
// parts, the hosts that it sees and the records that it has. It reads what `tombolo linker status`
// shows, at each scrape, and keeps nothing.
//
// Start reading at Server.Serve; collector.go has the metrics.
package metrics
