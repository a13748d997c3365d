// Command bench measures Tombolo side by side with its peers, in one run and
// interleaved in rotating order, so that the machine's drift hits all of them alike:
//
//	rest        memory and CPU of every linker while nothing happens
//	dns         server CPU and latency per answer: the linker, CoreDNS, a bare batched UDP echo
//	throughput  TCP between two hosts: tombolo, hand-made VXLAN, Swarm's overlay, the bare underlay
//	attach      docker run less the same with --network none: tombolo, bridge, Swarm's overlay
//	resolve     container started -> its name resolves on every other host: tombolo, Swarm's overlay
//
// It runs in a lab of three hosts that it makes and removes. It needs root, Docker and
// the tombolo binary (`make bench`), and has to be linked statically. At the end it
// holds the figures that have a goal against it; with --check a missed one is a
// failure.
package main
