// Package logfile opens the log files of detached processes and quotes their ends in
// errors. It never looks at what they say.
package logfile

import (
	"fmt"
	"os"
	"strings"
)

// quoted is the number of lines that End quotes.
const quoted = 15

// Append opens the log at path to append to it. It truncates a log that has more than
// limit bytes; 0 stands for no limit.
func Append(path string, limit int64) (*os.File, error) {
	flags := os.O_CREATE | os.O_APPEND | os.O_WRONLY
	if info, err := os.Stat(path); err == nil && limit > 0 && info.Size() > limit {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o640)
}

// End returns a clause for an error: "its log (PATH) ends with:" and the last lines.
func End(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	return fmt.Sprintf("its log (%s) ends with:\n%s", path, lastLines(string(text), quoted))
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
