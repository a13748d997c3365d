package linker

import (
	"maps"
	"slices"
	"sync"
)

// The parts whose problems leave the linker at work: some container has not the
// port that it asked for, some other host is not of this cluster's pools.
const (
	portsProblem = "ports"
	poolsProblem = "pools"
)

// problems holds what keeps a linker from doing its work now, by part.
type problems struct {
	mu  sync.Mutex
	now map[string]string
}

// set enters a part's problem, or takes it off when err is nil. It reports whether
// that is news.
func (p *problems) set(part string, err error) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		_, news = p.now[part]
		delete(p.now, part)
		return news
	}
	if p.now == nil {
		p.now = map[string]string{}
	}
	news = p.now[part] != err.Error()
	p.now[part] = err.Error()
	return news
}

func (p *problems) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, part := range slices.Sorted(maps.Keys(p.now)) {
		out = append(out, part+": "+p.now[part])
	}
	return out
}

// grave reports whether a problem concerns more than single containers.
func (p *problems) grave() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for part := range p.now {
		if part != portsProblem && part != poolsProblem {
			return true
		}
	}
	return false
}
