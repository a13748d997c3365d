// Package vip gives each service the addresses by which this host's containers reach it:
// one of each address family, from ranges that no host's block is in.
//
// Service addresses are local to a host. Each linker draws its own, answers them to its own
// containers only, and its kernel translates them before a packet leaves the host. So hosts
// need not agree on them, and containers that no framework started have them too.
//
// A service keeps its addresses from the moment that the catalog first knows it until some
// time after the catalog last knew it, also across restarts of the linker: clients cache
// addresses. Until that time has passed, no other service gets them.
//
// The package does no I/O except for its file, and takes the time as an argument. Start
// reading at Book.Assign.
package vip
