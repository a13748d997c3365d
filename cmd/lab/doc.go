// Package lab makes several virtual hosts of one machine, for trying Tombolo and
// for its end-to-end tests. A virtual host is a set of namespaces (network, PID,
// mount, UTS, IPC) with an init of its own, a Docker Engine and a linker, at their
// default paths; kill -9 of the init takes the whole host with it.
//
//	root namespace            underlay namespace (tombolo-lab)
//	  tombolo daemon            bridge lab0 198.18.0.1/24, registry :5000
//	  (master, agents,            |        |        |
//	   framework)                h1 .11   h2 .12   h3 .13   one veth a host
//	       \__ unix sockets below /run/tombolo/lab/<host>/ __/
//
// The bridge has a namespace of its own because Docker's br_netfilter and its
// FORWARD policy would drop bridged frames in the machine's.
//
// Everything that a lab makes is written to its state file before it is used, and
// Down removes it by that file: after Ctrl-C, and after a kill -9 at the next Up.
// It never touches the machine's own Docker Engine or network.
package lab
