// Package linker is the sidecar of one host. It composes the parts below it and
// runs them as one group:
//
//	Docker --plugin calls--> plugin -> attach -> overlay (veths)
//	Docker --events--------> docker \
//	                                 identity -> catalog <-> gossip <-> other linkers
//	                        attach  /               |
//	                                   reach <------+------> api (status, app records)
//	                                   /    \
//	                            overlay      dns
//
// Who may reach whom is decided in reach, what a record means in catalog, what the
// kernel holds in overlay; here is only who tells whom. Nothing here is on the
// path of a packet: with the linker dead, connections go on.
package linker
