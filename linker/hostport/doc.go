// Package hostport holds the published ports of this host with sockets, so that another
// listener, or docker run -p, is told that a port is taken.
//
// The kernel's rules (package overlay) lead connections on to containers before they reach a
// socket. They cannot do so for ::1, because the kernel has no route_localnet for IPv6, so the
// sockets serve ::1 themselves: they relay its connections and datagrams. They answer nobody
// else. Start reading at Ports.
package hostport
