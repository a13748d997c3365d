// Package dns is the DNS server of one host's containers. It answers names of the zone and
// reverse names of the pool from the view of the container that asks. It forwards other
// questions to the host's own name servers, with a bounded cache.
//
// # How it works
//
// Every container's queries arrive at one address of the host. The source address, which the
// overlay makes impossible to forge, tells which container asks, and a Viewer tells what that
// container may see:
//
//	packet -> parse -> the asker's view -> memo -> reply
//	                        |               |
//	                        |               `-> not in the memo: Zone.Answer (pure), packed and
//	                        |                   kept as long as the asker has the same view
//	                        |                        `-> not in the zone: Forwarder (cache, upstream)
//	                        |-> view not known yet: wait at most a second, then SERVFAIL
//	                        `-> unknown address: REFUSED
//
// Each UDP socket has one goroutine, which reads packets in batches. Each connection has one,
// and so has each query that waits for a view or for a name server; an asker may have only so
// many of them.
//
// # What it answers
//
//   - It looks up a name in the view, with the zone's suffix, or without it if the name is one
//     of the view's short names. It never forwards a single label, a name in the zone, or a
//     reverse name of the pool: the names of apps stay on the host. Other names without the
//     suffix belong to the Internet, even if the view has them in the zone: an app called dev
//     must not hide web.dev.
//   - A name of the view without a record of the wanted type is NOERROR with the zone's SOA. A
//     name outside of the view is NXDOMAIN, whether or not another app has it.
//   - Answers, also negative ones, live one second (DefaultTTL). That is long enough for a
//     client's cache to help, and short enough to forget a dead instance.
//   - Addresses are shuffled in every reply. The question is repeated in the asker's spelling.
//   - While the server cannot keep up, it ignores an asker that has had more than its share.
//   - Queries of a class other than IN, and zone transfers, are REFUSED. ANY, meta types and
//     opcodes other than QUERY are NOTIMP (RFC 8482 allows that for ANY).
//
// # What it never does
//
// It knows nothing of apps, hosts or policy. It does not check source addresses. Of ours it
// imports linker/record and internal/wake.
//
// Start reading at Server, then Zone.Answer; Forwarder is independent of both.
package dns
