// Command bench measures Tombolo and its peers in one run (`make bench`). It takes their samples in
// turn and rotates the order, so that a machine that becomes slower affects all of them alike:
//
//	rest        memory and CPU of every linker while nothing happens
//	dns         server CPU and latency per answer: the linker, CoreDNS, a batched UDP echo server
//	throughput  TCP between two hosts: tombolo, hand-made VXLAN, Swarm's overlay, the underlay itself
//	vip         TCP to a service's address and to its one container: tombolo, Swarm
//	attach      docker run minus the same with --network none: tombolo, bridge, Swarm's overlay
//	policy      what one container more costs, with up to 250,000 pairs that reach each other
//	mesos       offers and calls a second between a framework and its master: protobuf, JSON
//	resolve     time from a container's start until its name resolves on all other hosts: tombolo, Swarm
//
// It makes a lab of three hosts and removes it at the end. It needs root, Docker and the tombolo
// binary, and has to be linked statically. At the end it compares the figures with their goals.
// With --check, a missed goal is an error.
package main
