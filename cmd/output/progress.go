package output

import (
	"fmt"
	"io"
	"os"

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
		go t.animate()
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
