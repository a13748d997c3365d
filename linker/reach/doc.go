// Package reach computes, from a snapshot of the catalog, whether endpoint a may reach
// endpoint b, and under which names. DNS views, packet policy and explanations all ask
// it, so that a name that resolves leads to something that can be reached.
//
// It is pure: it does no I/O, reads no clock, and keeps nothing beside a Relation.
//
// Start with Relation and the function grant, which has the one rule.
package reach
