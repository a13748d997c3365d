package overlay

import (
	"hash/fnv"
	"slices"
	"strings"
)

// A new connection to a service address is led to a target by two maps. The first one leads
// from the address to a chain, which draws a number that is below the number of targets. The
// second one leads from address and number to the target. The table has a chain for each
// number of targets, so that a change of targets changes elements and never rules.
const (
	// evenTargets is the largest number of targets that has a chain of its own. Up to this
	// number every target has exactly the same chance.
	evenTargets = 60
	// manyBuckets is the number of parts into which connections are divided if there are more
	// targets. The chances then differ by one part: by 1.7 % among 61 targets, by 3 % among
	// 100. It is a prime, which fillBuckets needs. Targets beyond this number are not used.
	manyBuckets = 3607
)

// amongChains lists the numbers that have a chain.
func amongChains() []int {
	var all []int
	for n := range evenTargets {
		all = append(all, n+1)
	}
	return append(all, manyBuckets)
}

// serve adds the elements of the services. A service without targets has none.
func (c contents) serve(all []Service) {
	for _, svc := range all {
		var targets []string
		for _, t := range svc.Targets {
			if t.Is4() == svc.Addr.Is4() {
				targets = append(targets, addrField(t))
			}
		}
		slices.Sort(targets)
		targets = slices.Compact(targets)
		if len(targets) == 0 {
			continue
		}
		if len(targets) > evenTargets {
			targets = fillBuckets(targets[:min(len(targets), manyBuckets)])
		}
		key := addrField(svc.Addr)
		c.add(family("service", svc.Addr), key, amongVerdict(len(targets)))
		for n, target := range targets {
			c.add(family("target", svc.Addr), key+bucketField(n), target)
		}
	}
}

// fillBuckets divides manyBuckets among the targets, as Maglev does (Eisenbud et al., NSDI
// 2016, section 3.4): in turn, each target takes the next free bucket of an order of its own.
// So the shares differ by one bucket at most, and most buckets keep their target when one
// target comes or goes.
func fillBuckets(targets []string) []string {
	next, step := make([]uint32, len(targets)), make([]uint32, len(targets))
	for i, t := range targets {
		hash := fnv.New64a()
		hash.Write([]byte(t))
		sum := hash.Sum64()
		next[i], step[i] = uint32(sum)%manyBuckets, 1+uint32(sum>>32)%(manyBuckets-1)
	}
	buckets := make([]string, manyBuckets)
	for filled := range manyBuckets {
		i := filled % len(targets)
		for buckets[next[i]] != "" {
			next[i] = (next[i] + step[i]) % manyBuckets
		}
		buckets[next[i]] = targets[i]
	}
	return buckets
}

// servicesThatLost returns the keys of the services, in the address family "4" or "6", that
// led to a target according to removed and do not lead to it any more.
func (c contents) servicesThatLost(removed contents, family string) map[string]bool {
	lost := map[string]map[string]bool{} // service -> targets
	for key, target := range removed["target"+family] {
		svc := key[:len(key)-fieldSizes["bucket"]]
		if lost[svc] == nil {
			lost[svc] = map[string]bool{}
		}
		lost[svc][target] = true
	}
	if len(lost) == 0 {
		return nil
	}
	for key, target := range c["target"+family] {
		delete(lost[key[:len(key)-fieldSizes["bucket"]]], target)
	}
	out := map[string]bool{}
	for svc, targets := range lost {
		if len(targets) > 0 {
			out[svc] = true
		}
	}
	return out
}

// targetsOf returns the targets of some services in one address family.
func (c contents) targetsOf(services map[string]bool, family string) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for key, target := range c["target"+family] {
		svc := key[:len(key)-fieldSizes["bucket"]]
		if !services[svc] {
			continue
		}
		if out[svc] == nil {
			out[svc] = map[string]bool{}
		}
		out[svc][target] = true
	}
	return out
}

// servicesWithTargets returns the keys of all services in one address family.
func (c contents) servicesWithTargets(family string) map[string]bool {
	out := map[string]bool{}
	for svc := range c["service"+family] {
		out[svc] = true
	}
	return out
}

// isVerdictMap reports whether the values of a map are verdicts, such as "goto among_3".
func isVerdictMap(set string) bool { return strings.HasPrefix(set, "service") }
