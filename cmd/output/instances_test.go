package output

import "testing"

func TestReasonsFitTheTerminal(t *testing.T) {
	const row = "shop  web  1  failed  3s  "
	for _, c := range []struct {
		reason string
		width  int
		want   string
	}{
		{"", 10, "shop  web  1  failed  3s"},
		{"exited with 3", 80, "shop  web  1  failed  3s  exited with 3"},
		{"exited with 3", 39, "shop  web  1  failed  3s  exited with 3"},
		{"exited with 3", 38, "shop  web  1  failed  3s\n    exited with 3"},
		{"image cannot be pulled: connection refused", 30, "shop  web  1  failed  3s\n    image cannot be pulled:\n    connection refused"},
		{"averylongwordthatfitsnowhere at all", 12, "shop  web  1  failed  3s\n    averylongwordthatfitsnowhere\n    at all"},
	} {
		if got := withReason(row, c.reason, c.width); got != c.want {
			t.Errorf("row with the reason %q in %d columns:\n%s\nwant:\n%s", c.reason, c.width, got, c.want)
		}
	}
}
