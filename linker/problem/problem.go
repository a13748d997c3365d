package problem

import (
	"slices"
	"strings"
	"time"
)

// Severity says what a problem means for its host.
type Severity string

// The severities. A linker is not ready while a problem with the severity Outage holds.
const (
	Outage   Severity = "outage"   // containers of this host cannot start, resolve names, reach a peer or be reached
	Degraded Severity = "degraded" // some containers or other hosts are affected; the rest of the host works
	Notice   Severity = "notice"   // nothing is affected yet
)

// Severities are all severities, the worst first.
var Severities = []Severity{Outage, Degraded, Notice}

// rank orders severities; that of the worst is 0.
func (s Severity) rank() int { return slices.Index(Severities, s) }

// Kind is a condition that can be wrong. Make one with kind, in kinds.go.
type Kind struct {
	Name     string // lower-case words with hyphens; it never changes, because alerts and scripts use it
	Severity Severity
	Subject  string // what the subjects of its problems are: "peer", "container"; "": it concerns the host as a whole
	Meaning  string // what does not work because of it; a sentence without a full stop
	Remedy   string // what the operator can do; a problem may have a better one of its own
}

// Problem is a condition that is wrong now.
type Problem struct {
	Name     string    `json:"name"` // of its Kind
	Severity Severity  `json:"severity"`
	Subject  string    `json:"subject,omitempty"` // which peer, container or rule; "": the host as a whole
	Reason   string    `json:"reason"`            // what was found
	Meaning  string    `json:"meaning"`
	Remedy   string    `json:"remedy"`
	Since    time.Time `json:"since,omitzero"` // when it was first found, on the clock of its host
}

// New returns the problem of a kind without Since.
func New(k Kind, f Found) Problem {
	p := Problem{Name: k.Name, Severity: k.Severity, Subject: f.Subject, Reason: f.Reason, Meaning: k.Meaning, Remedy: f.Remedy}
	if p.Remedy == "" {
		p.Remedy = k.Remedy
	}
	return p
}

// String returns the problem in one line: what was found, and what to do about it.
func (p Problem) String() string {
	text := p.Name
	if p.Subject != "" {
		text += " " + p.Subject
	}
	text += ": " + p.Reason
	if p.Remedy != "" {
		text += " (" + p.Remedy + ")"
	}
	return text
}

// Compare orders problems: by severity, the worst first, then by name and subject.
func Compare(a, b Problem) int {
	if d := a.Severity.rank() - b.Severity.rank(); d != 0 {
		return d
	}
	if d := strings.Compare(a.Name, b.Name); d != 0 {
		return d
	}
	return strings.Compare(a.Subject, b.Subject)
}

// AnyOutage reports whether one of the problems has the severity Outage.
func AnyOutage(all []Problem) bool {
	return slices.ContainsFunc(all, func(p Problem) bool { return p.Severity == Outage })
}
