package probe

// result says which of the shots of a round have arrived.
type result struct {
	sizes   []int // of the IP packets, in bytes; the first is smallShot, the second the full size
	arrived []bool
}

// smallShot is the size of the smallest shot, in bytes. Nobody filters packets because they are
// that large.
const smallShot = 100

// brokenAfter is the number of rounds in a row that must fail before a direction counts as
// broken or narrow. If a network loses one packet in five, one round in 600 fails so often.
// soundAfter is the number of rounds in a row that must succeed before it counts as sound.
const (
	brokenAfter = 4
	soundAfter  = 2
)

// precise is the accuracy of the search for the MTU of a path, in bytes.
const precise = 8

// searchAgain is the number of rounds after which a narrow path is searched anew: it may have
// become wider without carrying packets of the full size.
const searchAgain = 15

// path is one direction between two hosts. Its zero value counts as sound.
type path struct {
	broken bool // no packet arrives
	narrow bool // small packets arrive, those of the full size do not
	passes int  // while narrow: the largest size known to arrive, in bytes
	full   int  // the full size of the last round

	lost, heard         int // rounds in a row in which the small shot was lost, or arrived
	fullLost, fullHeard int // the same of the full-sized shot, counted while small ones arrive
	fails               int // the smallest size known to be lost; 0: none
	settled             int // rounds since the search came to an end
	missed              int // rounds in a row in which the size that passed before was lost
}

// narrowed returns a path whose MTU an earlier run has found.
func narrowed(mtu int) path { return path{narrow: true, passes: mtu, fails: mtu + precise} }

// suspect reports whether the path needs more rounds soon.
func (p *path) suspect() bool {
	return p.lost > 0 || p.fullLost > 0 || p.broken && p.heard > 0 || p.narrow && !p.searched()
}

// sizes returns the sizes of the next round: a small shot, one of the full size, and while that
// one is lost, some between the sizes that are known to pass and to be lost.
func (p *path) sizes(full int) []int {
	sizes := []int{smallShot, full}
	if p.fullLost == 0 && !p.narrow {
		return sizes
	}
	if p.passes > smallShot {
		sizes = append(sizes, p.passes)
	}
	const steps = 5
	low, high := max(p.passes, smallShot), p.limit(full)
	for i := 1; i < steps && !p.searched(); i++ {
		if size := low + (high-low)*i/steps; size > low && size < high {
			sizes = append(sizes, size)
		}
	}
	return sizes
}

// limit returns the smallest size that is known to be lost.
func (p *path) limit(full int) int {
	if p.fails > 0 {
		return min(p.fails, full)
	}
	return full
}

func (p *path) searched() bool { return p.fails > 0 && p.fails-max(p.passes, smallShot) <= precise }

// observe draws the conclusions from a round that the receiver has answered.
func (p *path) observe(r result) {
	if len(r.sizes) < 2 || len(r.sizes) != len(r.arrived) {
		return
	}
	p.full = r.sizes[1]
	any := false
	for _, arrived := range r.arrived {
		any = any || arrived
	}
	if !any {
		p.heard = 0
		if p.lost++; p.lost >= brokenAfter {
			p.broken = true
		}
		return
	}
	p.lost, p.heard = 0, p.heard+1
	if p.heard >= soundAfter {
		p.broken = false
	}
	p.observeSizes(r)
}

func (p *path) observeSizes(r result) {
	if r.arrived[1] {
		p.fullLost = 0
		if p.fullHeard++; p.fullHeard >= soundAfter {
			p.narrow, p.passes, p.fails, p.settled = false, 0, 0, 0
		}
		return
	}
	p.fullHeard, p.fullLost = 0, p.fullLost+1
	p.search(r)
	if p.fullLost >= brokenAfter && p.searched() {
		p.narrow = true
	}
}

// search narrows the range in which the MTU of the path is.
func (p *path) search(r result) {
	if p.searched() {
		if p.settled++; p.settled%searchAgain == 0 {
			p.fails = 0
		}
	}
	best, known := 0, false
	for i, size := range r.sizes {
		if r.arrived[i] {
			best = max(best, size)
		}
		known = known || size == p.passes
	}
	switch {
	case best >= p.passes:
		p.passes, p.missed = best, 0
	case known:
		if p.missed++; p.missed >= soundAfter { // the path has become narrower
			p.passes, p.fails, p.missed = best, 0, 0
		}
	}
	if p.fails <= p.passes { // what was lost before was lost by chance
		p.fails = 0
	}
	for i, size := range r.sizes {
		if !r.arrived[i] && size > p.passes && (p.fails == 0 || size < p.fails) {
			p.fails = size
		}
	}
}

// mtu returns the size in bytes of the largest packet that passes; 0: all that the interfaces
// of both hosts carry.
func (p *path) mtu() int {
	if p.narrow {
		return max(p.passes, smallShot)
	}
	return 0
}
