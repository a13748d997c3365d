// Command bench measures Tombolo side by side with its peers, in one run and
// interleaved, so that the machine's drift hits all of them alike:
//
//	dns         server CPU and latency per answer: ours, CoreDNS, a bare batched UDP echo
//	throughput  TCP between two hosts: tombolo, hand-made VXLAN, Swarm's overlay, the bare underlay
//	attach      docker run less the same with --network none: tombolo, bridge, Swarm's overlay
//	resolve     container started -> its name resolves on every other host: tombolo, Swarm's overlay
//
// All but dns run in a lab of three hosts that bench makes and removes. It needs root,
// Docker and the tombolo binary (`make bench`). It prints figures and judges none.
package main
