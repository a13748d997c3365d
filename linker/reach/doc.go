// Package reach is the one relation "may a reach b, under which names", computed
// from a snapshot of the catalog. DNS views, packet policy and explanations all
// ask it, so that what resolves is what can be reached.
//
// It is pure: no I/O, no clock, no state that outlives a Relation. It imports
// nothing of ours but linker/record.
package reach
