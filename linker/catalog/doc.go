// Package catalog is the replicated table of all records. It owns the merge of
// what peers tell (commutative, associative and idempotent), the versions of this
// host's own records, tombstones, and the digest by which two catalogs find out
// what one of them lacks.
//
// It does no I/O, reads no clock, and sends nothing: the linker moves packets
// between it and linker/gossip. It imports nothing of ours but linker/record.
package catalog
