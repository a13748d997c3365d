package logfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		text string
		want string
	}{{"", ""}, {"a\n", "a"}, {"a\nb\nc\nd\n\n", "c\nd"}} {
		if got := lastLines(c.text, 2); got != c.want {
			t.Errorf("the last 2 lines of %q are %q, want %q", c.text, got, c.want)
		}
	}
	if got := strings.Count(lastLines(strings.Repeat("x\n", 50), 15), "\n"); got != 14 {
		t.Errorf("15 lines have %d line ends between them, want 14", got)
	}
}

func TestALogBeyondItsLimitStartsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, c := range []struct {
		limit int64
		want  string
	}{{0, "line\n"}, {4, "line\n"}, {9, "line\nline\n"}} { // the second one finds 5 bytes
		f, err := Append(path, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("line\n"); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if got, err := os.ReadFile(path); err != nil || string(got) != c.want {
			t.Errorf("after a line with limit %d the log holds %q (%v), want %q", c.limit, got, err, c.want)
		}
	}
}
