// Package plugin is Docker's side door: libnetwork's remote NetworkDriver and
// IpamDriver over HTTP on a unix socket, translated to linker/attach.
//
// It never calls Docker, which holds locks and waits while it calls us, and it
// answers every call within Deadline: a plugin that listens and does not answer
// hangs `docker run` for ever.
package plugin
