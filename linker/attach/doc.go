// Package attach owns the life of an endpoint on this host: its addresses, its
// interface, the host ports it publishes, and the table of them that survives
// restarts. The plugin (and any other way to attach a container) drives it; the
// linker reads it.
//
//	Reserve -> Create -> Join -> Publish -> Unpublish -> Leave -> Delete -> Release
//
// Every step may be repeated, and may never come: Reconcile collects what Docker
// no longer knows. It never calls Docker, which waits for us while we are called.
package attach
