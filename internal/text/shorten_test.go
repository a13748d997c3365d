package text

import "testing"

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 3, ""},
		{"12345", 5, "12345"},
		{"123456", 5, "12…"},
		{"aäääa", 6, "aä…"},
		{"äää", 5, "ä…"},
		{"123456", 3, "…"},
	} {
		if got := Shorten(c.in, c.n); got != c.want {
			t.Errorf("Shorten(%q, %d) is %q, want %q", c.in, c.n, got, c.want)
		}
	}
}
