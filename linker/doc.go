// Package linker runs beside Docker on one host. It makes the parts in its subfolders, gives
// each the few others that it uses, and runs them as one group. It decides nothing that a
// part can decide: linker/reach says who may reach whom, linker/catalog merges records,
// linker/block owns the claim of a block, overlay knows the kernel. Nothing here is on the
// path of a packet: while the linker is down, connections go on.
//
// These are the goroutines. An arrow into a goroutine wakes it; data that several of
// them use stands in parentheses:
//
//	Docker's calls    Docker's events    other linkers             the framework
//	     |                  |                  |                         |
//	     v                  v                  v                         v
//	   plugin            docker             gossip ---> suspender       api
//	     |                  |                  |            |            |
//	     |                  v                  v            v            v
//	     |             identifier ---------> (    c  a  t  a  l  o  g    )
//	     v                  ^                  |       |    ^    |       |
//	  (table of endpoints) -+                  |       v    |    v       v
//	                        |                  |      block   broadcaster catalog file
//	                        v                  |       |         |          |
//	      data plane     overlay <-------------+-------+         v          v
//	          |             |                                  gossip      disk
//	          +--> kernel <-+
//
//	dns          answers each query from the effective catalog, which is derived from the
//	             catalog and the block when somebody asks for it after a change
//	tombstones, pool check, limits, host ports    run from time to time
//
// Two events happen once. The identifier opens the latch "adopted" when the table holds
// the endpoints of the last run; the overlay task waits for it, because it would remove
// their interfaces as leftovers. The overlay task opens the latch "matched" when the
// kernel matches for the first time; calls of Docker that need an interface wait for it.
//
// Start reading at Linker.assemble, which makes the parts in the order of their
// dependencies.
package linker
