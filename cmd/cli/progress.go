package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"tombolo/framework/api"
)

// progress shows how an app comes or goes: on a terminal a table that is drawn
// over and over, elsewhere one line for each change.
type progress struct {
	out     io.Writer
	app     string
	started time.Time

	// On a terminal.
	size func() (width, height int) // nil: no terminal
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	last  api.Status
	drawn int               // lines of the table
	lines map[string]string // no terminal: what was said of an instance
	frame int
}

const redraw = 150 * time.Millisecond

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func newProgress(out io.Writer, app string) *progress {
	p := &progress{out: out, app: app, started: time.Now(), lines: map[string]string{}}
	if p.size = terminalSize(out); p.size == nil {
		return p
	}
	p.stop, p.done = make(chan struct{}), make(chan struct{})
	go p.animate()
	return p
}

// terminalSize returns what tells the size of the terminal that out is, or nil.
func terminalSize(out io.Writer) func() (width, height int) {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func() (int, int) {
		w, h, err := term.GetSize(int(f.Fd()))
		if err != nil || w <= 0 || h <= 0 {
			return 80, 24
		}
		return w, h
	}
}

func (p *progress) animate() {
	defer close(p.done)
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		p.frame++
		p.draw()
		p.mu.Unlock()
	}
}

// status shows the newest state.
func (p *progress) status(s api.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = s
	if p.size != nil {
		p.draw()
		return
	}
	gone := map[string]bool{}
	for name := range p.lines {
		gone[name] = true
	}
	for _, i := range s.Instances {
		name := instanceName(i)
		delete(gone, name)
		if line := describe(i); p.lines[name] != line {
			p.lines[name] = line
			fmt.Fprintf(p.out, "%s %s\n", p.app, line)
		}
	}
	for name := range gone {
		delete(p.lines, name)
		fmt.Fprintf(p.out, "%s %s gone\n", p.app, name)
	}
}

// note says something beside the table.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, text)
}

// end leaves the last table as it is.
func (p *progress) end() {
	if p.halt() {
		p.draw()
	}
}

// vanish leaves nothing of the table: what it showed is gone.
func (p *progress) vanish() {
	if p.halt() {
		p.clear()
	}
}

// halt ends the animation; it reports whether there is a table.
func (p *progress) halt() bool {
	if p.stop != nil {
		close(p.stop)
		<-p.done
	}
	return p.size != nil
}

func (p *progress) clear() {
	if p.drawn > 0 {
		fmt.Fprintf(p.out, "\x1b[%dA\x1b[J", p.drawn)
		p.drawn = 0
	}
}

// draw writes the table over the last one.
func (p *progress) draw() {
	width, height := p.size()
	lines := p.table(max(height-2, 1))
	var b strings.Builder
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", p.drawn)
	}
	for _, line := range lines {
		b.WriteString(cut(line, width-1))
		b.WriteString("\x1b[0m\n")
	}
	p.drawn = len(lines)
	fmt.Fprint(p.out, b.String())
}

// table has at most n lines; what is not done goes first when there are more.
func (p *progress) table(n int) []string {
	ready := 0
	var open, done []string
	names := 0
	for _, i := range p.last.Instances {
		names = max(names, len(instanceName(i)))
	}
	for _, i := range p.last.Instances {
		line := p.row(i, names)
		if i.State == api.StateUp || i.State == api.StateDone {
			ready++
			done = append(done, line)
			continue
		}
		open = append(open, line)
	}
	rows := slices.Concat(open, done)
	if len(rows) <= n-1 {
		rows = rows[:0]
		for _, i := range p.last.Instances { // all fit: in their own order
			rows = append(rows, p.row(i, names))
		}
	} else {
		rows = append(rows[:max(n-2, 0)], fmt.Sprintf("   … and %d more", len(rows)-max(n-2, 0)))
	}
	verb := "up"
	if p.last.Removing {
		verb, ready = "down", 0
	}
	head := fmt.Sprintf("[+] %s %s %d/%d  %.1fs", p.app, verb, ready, len(p.last.Instances), time.Since(p.started).Seconds())
	return append([]string{head}, rows...)
}

// row is an instance's line; names is the width of the longest name.
func (p *progress) row(i api.Instance, names int) string {
	mark, colour := spinner[p.frame%len(spinner)], "\x1b[36m"
	switch i.State {
	case api.StateStaging, api.StateRunning, api.StateHealthy, api.StateStopping:
	case api.StateUp, api.StateDone:
		mark, colour = "✔", "\x1b[32m"
	case api.StateFailed, api.StateLost, api.StateUnhealthy:
		mark, colour = "✘", "\x1b[31m"
	case api.StateWaiting:
		colour = "\x1b[33m"
	}
	name := instanceName(i)
	return fmt.Sprintf(" %s%s %-*s%s", colour, mark, names, name, strings.TrimPrefix(describe(i), name))
}

// cut shortens a line to n columns, with a sign that it did; escape sequences take
// none.
func cut(line string, n int) string {
	kept, escaped, columns := 0, false, 0 // kept: bytes that fit before the sign
	for at, r := range line {
		switch {
		case r == '\x1b':
			escaped = true
		case escaped:
			escaped = r != 'm'
		default:
			if columns++; columns > n {
				return line[:kept] + "…"
			}
			if columns < n {
				kept = at + utf8.RuneLen(r)
			}
		}
	}
	return line
}

func instanceName(i api.Instance) string { return fmt.Sprintf("%s.%d", i.Service, i.Slot) }

// describe says in one line how an instance is.
func describe(i api.Instance) string {
	line := fmt.Sprintf("%s %s", instanceName(i), i.State)
	if i.Host != "" {
		line += " on " + i.Host
	}
	if i.Address != "" {
		line += " " + i.Address
	}
	if i.Reason != "" {
		line += ": " + oneLine(i.Reason)
	}
	return line
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// summary says in a few words how an app is.
func summary(s api.Status) string {
	up := 0
	for _, i := range s.Instances {
		if i.State == api.StateUp || i.State == api.StateDone {
			up++
		}
	}
	state := fmt.Sprintf("%d of %d instances up", up, len(s.Instances))
	if s.Removing {
		state = "being removed, " + fmt.Sprintf("%d instances left", len(s.Instances))
	}
	return cmp.Or(map[bool]string{true: state + "; " + s.Failed}[s.Failed != ""], state)
}
