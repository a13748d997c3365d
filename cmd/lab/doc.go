// Package lab makes several virtual hosts of one machine, to try Tombolo and for its
// end-to-end tests. A virtual host is a set of namespaces (network, PID, mount, UTS,
// IPC) with an init of its own, a Docker Engine and a linker at their default paths.
// kill -9 of the init ends the whole host.
//
//	root namespace            underlay namespace
//	  tombolo daemon            bridge lab0 198.18.0.1/24, registry :5000
//	  (master, agents,            |        |        |
//	   framework)                h1 .11   h2 .12   h3 .13   one veth a host
//	       \__ unix sockets below /run/tombolo/lab/<host>/ __/
//
// The bridge has a namespace of its own because Docker's br_netfilter and its FORWARD
// policy would drop bridged frames in the root namespace.
//
// The lab writes each thing that it makes to its state file before it uses it. Down
// removes what the file names, and so does Up after a kill -9. The lab never touches the
// machine's own Docker Engine or network.
//
// Start reading at Up. RunInit and RunRegistry are what the processes of a lab run.
package lab
