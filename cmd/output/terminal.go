package output

import (
	"io"
	"os"

	"golang.org/x/term"
)

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
