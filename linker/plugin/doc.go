// Package plugin is the Docker plugin: it answers the calls of libnetwork's remote
// NetworkDriver and IpamDriver, HTTP on a unix socket, with the help of linker/attach.
//
// It never calls Docker, because Docker holds locks while it waits for our answers. It
// answers every call within five seconds, because Docker itself waits without limit: a
// plugin that listens and does not answer would hang `docker run` for ever.
//
// Start with Server; calls.go lists the methods of the two drivers.
package plugin
