// Package inspect looks at what really happens on this host between a container and an
// address: which answer the container gets to a DNS query, which way the kernel would take,
// on which ports the container listens, and whether a connection can be opened. `tombolo
// explain` and `tombolo doctor` need it. The package decides nothing: linker/explain does.
//
// It enters the network namespaces of containers, so it needs root. It changes nothing. A
// TCP connection that it opens is closed at once, without a byte of data.
//
// Start reading at Look; types.go has what it returns.
package inspect
