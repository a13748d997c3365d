package dns

import (
	"math/rand/v2"

	"github.com/miekg/dns"
)

// shuffle spreads clients that take the first answer over all of them.
func shuffle(rrs []dns.RR) {
	rand.Shuffle(len(rrs), func(i, j int) { rrs[i], rrs[j] = rrs[j], rrs[i] })
}
