// Package catalog is the replicated table of all records. It owns the merge of records
// from peers (commutative, associative and idempotent), the versions of this host's own
// records, tombstones, and the digest by which two catalogs find the records that one
// of them lacks.
//
// It does no I/O, reads no clock and sends nothing: the linker carries packets between
// it and linker/gossip.
//
// Start with Catalog; merge.go has the rule by which one record replaces another.
package catalog
