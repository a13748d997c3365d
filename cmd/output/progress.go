package output

import (
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

// Progress shows how an app comes up or goes.
type Progress interface {
	Status(api.Status) // shows the newest status
	Note(text string)  // prints a line beside it
	End(keep bool)     // ends; a table on a terminal stays only if keep is set
}

// NewProgress returns a Progress of the app: on a terminal a table that redraws itself
// until End, elsewhere one line for each change.
func NewProgress(out io.Writer, app string) Progress {
	if size := TerminalSize(out); size != nil {
		t := newTable(out, app, size)
		t.running.Go(t.animate)
		return t
	}
	return &changes{out: out, app: app}
}

// changes is a Progress that prints a line whenever an instance changes.
type changes struct {
	out     io.Writer
	app     string
	printed map[string]string // instance -> its last line
}

func (c *changes) Status(s api.Status) {
	printed := map[string]string{}
	for _, i := range s.Instances {
		name, line := instanceName(i), Describe(i)
		if c.printed[name] != line {
			fmt.Fprintf(c.out, "%s %s\n", c.app, line)
		}
		printed[name] = line
	}
	for name := range c.printed {
		if printed[name] == "" {
			fmt.Fprintf(c.out, "%s %s gone\n", c.app, name)
		}
	}
	c.printed = printed
}

func (c *changes) Note(text string) { fmt.Fprintln(c.out, text) }

func (c *changes) End(bool) {}

// TerminalSize returns a function that tells the size of the terminal out, in columns
// and lines, or nil if out is not a terminal.
func TerminalSize(out io.Writer) func() (width, height int) {
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

// redraw is how often the table is drawn again, for its spinners and its clock.
const redraw = 150 * time.Millisecond

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// table is a Progress that draws a table over the one that it drew before.
type table struct {
	out     io.Writer
	app     string
	size    func() (width, height int)
	started time.Time
	stop    chan struct{} // closed to end animate
	running sync.WaitGroup

	mu    sync.Mutex
	last  api.Status
	drawn int // lines of the table on the terminal
	frame int // of the spinners
}

func newTable(out io.Writer, app string, size func() (width, height int)) *table {
	return &table{out: out, app: app, size: size, started: time.Now(), stop: make(chan struct{})}
}

func (t *table) Status(s api.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = s
	t.draw()
}

func (t *table) Note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.out, t.erase()+text)
}

func (t *table) End(keep bool) {
	close(t.stop)
	t.running.Wait()
	if keep {
		t.draw()
	} else {
		fmt.Fprint(t.out, t.erase())
	}
}

// animate redraws the table until stop is closed.
func (t *table) animate() {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		t.mu.Lock()
		t.frame++
		t.draw()
		t.mu.Unlock()
	}
}

// draw replaces the table on the terminal.
func (t *table) draw() {
	width, height := t.size()
	var b strings.Builder
	b.WriteString(t.erase())
	lines := t.lines(max(height-2, 1))
	for _, line := range lines {
		b.WriteString(cut(line, width-1))
		b.WriteString("\x1b[0m\n")
	}
	t.drawn = len(lines)
	fmt.Fprint(t.out, b.String())
}

// erase returns the escape sequence that removes the table from the terminal.
func (t *table) erase() string {
	if t.drawn == 0 {
		return ""
	}
	up := t.drawn
	t.drawn = 0
	return fmt.Sprintf("\x1b[%dA\x1b[J", up)
}

// lines returns the table in at most n lines. If there are more instances than lines,
// those that are not ready come first.
func (t *table) lines(n int) []string {
	names := 0
	for _, i := range t.last.Instances {
		names = max(names, len(instanceName(i)))
	}
	var rows, open, done []string
	for _, i := range t.last.Instances {
		row := t.row(i, names)
		rows = append(rows, row)
		if ready(i) {
			done = append(done, row)
		} else {
			open = append(open, row)
		}
	}
	if len(rows) > n-1 {
		shown := max(n-2, 0)
		rows = slices.Concat(slices.Concat(open, done)[:shown], []string{fmt.Sprintf("   … and %d more", len(rows)-shown)})
	}
	verb, count := "up", len(done)
	if t.last.Removing {
		verb, count = "down", 0
	}
	head := fmt.Sprintf("[+] %s %s %d/%d  %.1fs", t.app, verb, count, len(t.last.Instances), time.Since(t.started).Seconds())
	return append([]string{head}, rows...)
}

// row returns the line of an instance. The longest instance name has width columns.
func (t *table) row(i api.Instance, width int) string {
	mark, colour := spinner[t.frame%len(spinner)], "\x1b[36m"
	switch i.State {
	case api.StateUp, api.StateDone:
		mark, colour = "✔", "\x1b[32m"
	case api.StateFailed, api.StateLost, api.StateUnhealthy:
		mark, colour = "✘", "\x1b[31m"
	case api.StateWaiting:
		colour = "\x1b[33m"
	default: // it changes: the spinner turns
	}
	name := instanceName(i)
	return fmt.Sprintf(" %s%s %-*s%s", colour, mark, width, name, strings.TrimPrefix(Describe(i), name))
}

// cut shortens a line to n columns and marks that it did. Escape sequences take no
// columns.
func cut(line string, n int) string {
	kept, escaped, columns := 0, false, 0 // kept: bytes that fit before the mark
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
