package output

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// LogOptions say how a Log prints a line.
type LogOptions struct {
	NoPrefix   bool // without the name of the instance
	NoColour   bool // without colours on a terminal; $NO_COLOR does the same
	Timestamps bool // with the time at which the line was printed, if it is known
}

// Log prints the log lines of instances.
type Log struct {
	LogOptions
	out    io.Writer
	colour bool
	width  int // of the widest instance name
}

// NewLog returns a Log for instances of the services.
func NewLog(out io.Writer, services map[string]app.Service, o LogOptions) *Log {
	l := &Log{LogOptions: o, out: out, colour: !o.NoColour && os.Getenv("NO_COLOR") == "" && TerminalSize(out) != nil}
	for name, s := range services {
		l.width = max(l.width, len(name)+1+len(strconv.Itoa(max(s.Replicas, 1))))
	}
	return l
}

// Print prints a line.
func (l *Log) Print(line api.LogLine) error {
	head := ""
	if !l.NoPrefix {
		name := fmt.Sprintf("%s.%d", line.Service, line.Slot)
		head = fmt.Sprintf("%-*s  | ", l.width, name)
		if l.colour {
			head = "\x1b[" + colourOf(name) + "m" + head + "\x1b[0m"
		}
	}
	if l.Timestamps && !line.Time.IsZero() {
		head += line.Time.Format(time.RFC3339Nano) + " "
	}
	_, err := fmt.Fprintln(l.out, head+line.Line)
	return err
}

// colours are ANSI colours without red, which means trouble, black and white.
var colours = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

// colourOf always gives an instance the same colour.
func colourOf(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return colours[h.Sum32()%uint32(len(colours))]
}
