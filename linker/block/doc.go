// Package block gives this host its block of the overlay's pool and keeps it:
//
//	block of the last run? --no--> wait for a majority of the known hosts,
//	    | yes                        and for the records of all hosts
//	    |                              |
//	    |                              v
//	    |              +----------> choose --> announce --> settle
//	    |              |                ^                     |   |
//	    |              |                +----- contested -----+   | not contested
//	    |              |                                          v
//	    +--------------|---------------------------------------> use
//	                   |                                          |
//	                   | no address in use                        v
//	                   +----------------------------- another host shows a prior claim
//	                                                              | addresses in use
//	                                                              v
//	                                        quarantine: no new addresses until that claim is gone
//
// No coordinator hands out blocks. Every host reads all claims in the catalog and the
// firmest claim of a block wins (record.Hold), so that all hosts decide alike. A host that
// sees another claim of its block announces its own again, as RFC 5227 asks of the holder of
// an address: the other one may not have seen it. A container is never renumbered: a block
// whose addresses are in use is kept even if it is lost.
//
// The package decides who owns a block; linker/ipam hands out the addresses in it.
// Start reading at Keeper.Run. The decisions are pure functions, in rules.go.
package block
