package linker

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// severity says what a problem means for the host as a whole.
type severity int

const (
	notReady severity = iota // the linker is not ready while the problem lasts
	partial                  // only some containers or other hosts are affected: the linker is ready
)

// problemKind is a condition that an operator should know about.
type problemKind struct {
	name     string // stands before the message in the linker's status
	severity severity
	summary  string // the log message; "": the part that has the problem logs it
	advice   string // what the operator can do; "": the reason says it
}

// The problems that a linker can have.
var (
	addressesProblem   = problemKind{"addresses", partial, "containers with addresses of other hosts are left out", "find out who writes these records: the linker of that host, or a stranger whom a gossip key would keep away"}
	blockProblem       = problemKind{"block", notReady, "this host takes no new containers", ""}
	catalogFileProblem = problemKind{"catalog file", notReady, "cannot save the catalog", "make the state folder writable, with room on its disk"}
	containersProblem  = problemKind{"containers", partial, "containers lack IPv6, or the resolver at 127.0.0.11", "restart these containers; if that does not help, find out what the reason says about the kernel"}
	dockerProblem      = problemKind{"docker", notReady, "", "start Docker, or name its socket with --docker"}
	hostPortsProblem   = problemKind{"host ports", partial, "other processes hold published ports", "end these processes, or publish another port"}
	hostsProblem       = problemKind{"hosts", notReady, "two machines have one name", "give one of the two another name with --host"}
	labelsProblem      = problemKind{"labels", partial, "containers are shut off, because their labels cannot be read", "correct these labels and start the containers again"}
	limitsProblem      = problemKind{"limits", partial, "news of other hosts is refused", "find out who writes these records; a gossip key on every host (--gossip-key-file) keeps strangers away"}
	overlayProblem     = problemKind{"overlay", notReady, "the kernel does not match yet", "find out which other program changes this host's interfaces, routes or nftables rules"}
	poolProblem        = problemKind{"pool", notReady, "part of the pool is routed elsewhere", "remove that route, or choose another pool on every host with --pool or --pool6"}
	poolsProblem       = problemKind{"pools", partial, "hosts with another pool are left out", "start every host with the same --pool and --pool6"}
	portsProblem       = problemKind{"ports", partial, "published ports are in conflict", "publish another port"}
	servicesProblem    = problemKind{"services", partial, "the addresses of services are in trouble", "remove apps, or choose a larger pool on every host with --pool; where the disk is full, make room on it"}
	stateProblem       = problemKind{"state", notReady, "cannot save the linker's state", "make the state folder writable, with room on its disk"}
)

// problem is a condition that holds now.
type problem struct {
	problemKind
	message string
}

func (p problem) String() string {
	text := p.name + ": " + p.message
	if p.advice != "" {
		text += " (" + p.advice + ")"
	}
	return text
}

// problems are the conditions that hold now, at most one of each kind. Its methods may
// be called at the same time.
type problems struct {
	log *slog.Logger

	mu  sync.Mutex
	now map[string]problem // by name
}

func newProblems(log *slog.Logger) *problems { return &problems{log: log, now: map[string]problem{}} }

// report says that a problem holds, with the reason, or that it does not, with nil. It
// logs every new reason.
func (p *problems) report(kind problemKind, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		delete(p.now, kind.name)
		return
	}
	before := p.now[kind.name].message
	p.now[kind.name] = problem{kind, err.Error()}
	if before == err.Error() || kind.summary == "" {
		return
	}
	log := p.log.Error
	if kind.severity == partial {
		log = p.log.Warn
	}
	log(kind.summary, "err", err, "advice", kind.advice)
}

// list returns the problems as an operator reads them, sorted by name.
func (p *problems) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.now)) {
		out = append(out, p.now[name].String())
	}
	return out
}

// maxListed bounds the items that the reason of a problem names.
const maxListed = 10

// listed returns one error that names each of errs once, in order, and counts those beyond
// maxListed; nil if there are none.
func listed(errs []error) error {
	texts := map[string]bool{}
	for _, err := range errs {
		texts[strings.ReplaceAll(err.Error(), "\n", ", ")] = true
	}
	if len(texts) == 0 {
		return nil
	}
	sorted := slices.Sorted(maps.Keys(texts))
	if beyond := len(sorted) - maxListed; beyond > 0 {
		sorted = append(sorted[:maxListed], fmt.Sprintf("and %d more", beyond))
	}
	return errors.New(strings.Join(sorted, "; "))
}

// ready reports whether no problem concerns the host as a whole.
func (p *problems) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.now {
		if problem.severity == notReady {
			return false
		}
	}
	return true
}
