package linker

import (
	"strings"
	"testing"
)

func TestLastBytesKeepsTheEndOfAText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"short", "short"},
		{"exactly 10", "exactly 10"},
		{"eleven byte", "…en byte"},
		{strings.Repeat("é", 6), "…ééé"},
	} {
		if got := lastBytes(c.text, 10); got != c.want || len(got) > 10 {
			t.Errorf("lastBytes(%q, 10) returned %q, want %q", c.text, got, c.want)
		}
	}
}
