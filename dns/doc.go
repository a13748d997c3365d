// Package dns answers the containers' questions: names of the zone and reverse
// names of the pool from the asker's view, everything else from the host's own
// resolvers through a bounded cache.
//
//	          one socket per core, batches          one goroutine per miss, bounded per asker
//	packet -> parse -> view of the asker -> memo -> reply
//	                        |                 `--> Zone.Answer (pure) -> packed, kept while the view lives
//	                        |                        `--> not ours: Forwarder cache -> upstream
//	                        |--> not known yet: once it is, or SERVFAIL after a second
//	                        `--> nobody: REFUSED
//
// What it decides, and where a resolver would do otherwise:
//
//   - A name is looked up in the view first, under the zone's suffix or, if it is one
//     of the view's short names, bare. A bare single-label name outside the view,
//     everything under the zone, and the pool's reverse names are never sent upstream:
//     what apps are called stays here. Other bare names are the Internet's, also where
//     the view has them under the zone: an app called dev hides no web.dev.
//   - A known name without an answer of the wanted type is NOERROR with the zone's
//     SOA; a name outside the view is NXDOMAIN. Views, not names, are the secret, so
//     both look the same whether another app has such a name or not.
//   - Answers live one second (DefaultTTL), also negative ones: long enough to spare
//     a caching client a flood, short enough that a dead instance is forgotten at once.
//   - Addresses are shuffled in every reply; the case of the question is echoed.
//   - Forwarded queries and connections are bounded per asker, and while the server
//     cannot keep up, an asker that has had more than its share is not answered.
//   - Queries of class other than IN and zone transfers are REFUSED; ANY, meta types
//     and opcodes other than QUERY are NOTIMP (RFC 8482 allows it).
//
// It never learns of apps, hosts or policy: a Viewer says what an address may see.
// It trusts source addresses; the overlay's anti-spoofing makes them trustworthy.
// Of ours it imports linker/record and internal/wake.
package dns
