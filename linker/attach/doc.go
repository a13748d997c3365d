// Package attach owns the life of an endpoint on this host: its addresses, its
// interface, the host ports that it publishes, and the table of endpoints, which
// survives restarts. The plugin drives it and the linker reads it. In order:
//
//	Reserve -> Create -> Join -> Publish -> Unpublish -> Leave -> Delete -> Release
//
// Every step may be repeated or left out. Reconcile removes endpoints that Docker no
// longer knows. The package never calls Docker, because Docker holds locks while it
// waits for our answers.
//
// Start with Table.
package attach
