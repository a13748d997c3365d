package output

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
)

func instances(states ...api.State) (all []api.Instance) {
	for n, s := range states {
		all = append(all, api.Instance{Service: "web", Slot: n + 1, State: s})
	}
	return all
}

func TestEachTableReplacesTheOneBefore(t *testing.T) {
	var out bytes.Buffer
	p := newTable(&out, "shop", func() (int, int) { return 30, 24 })
	p.Status(api.Status{Instances: instances(api.StateUp, api.StateStaging)})
	p.Status(api.Status{Instances: instances(api.StateUp, api.StateUp)})
	plain := strings.NewReplacer("\x1b[0m", "", "\x1b[32m", "", "\x1b[36m", "").Replace(out.String())
	want := "[+] shop up 1/2  0.0s\n ✔ web.1 up\n ⠋ web.2 staging\n" +
		"\x1b[3A\x1b[J[+] shop up 2/2  0.0s\n ✔ web.1 up\n ✔ web.2 up\n"
	if diff := cmp.Diff(want, plain); diff != "" {
		t.Errorf("drawn (-want +got):\n%s", diff)
	}
}

func TestEndWithoutKeepErasesTheTable(t *testing.T) {
	var out bytes.Buffer
	p := newTable(&out, "shop", func() (int, int) { return 30, 24 })
	p.Status(api.Status{Removing: true, Instances: instances(api.StateStopping)})
	p.running.Go(p.animate)
	p.End(false)
	if !strings.HasSuffix(out.String(), "\x1b[2A\x1b[J") {
		t.Errorf("the terminal got %q, want the escape sequence that erases two lines at the end", out.String())
	}
}

// The table never scrolls. If it is too long, instances that are not ready come first.
func TestTheTableFitsItsTerminal(t *testing.T) {
	p := newTable(&bytes.Buffer{}, "shop", nil)
	states := make([]api.State, 40)
	for i := range states {
		states[i] = api.StateUp
	}
	states[30] = api.StateFailed
	p.last = api.Status{Instances: instances(states...)}
	lines := p.lines(10)
	if len(lines) != 10 || !strings.Contains(lines[1], "web.31") || !strings.Contains(lines[9], "32 more") {
		t.Errorf("the table has %d lines, want 10 with web.31 first and 32 more at the end:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

func TestCutMarksLinesThatItShortens(t *testing.T) {
	for _, c := range []struct {
		line string
		n    int
		want string
	}{
		{"short", 10, "short"},
		{"exactly ten", 11, "exactly ten"},
		{"one too many", 11, "one too ma…"},
		{"\x1b[32m✔ green\x1b[0m", 4, "\x1b[32m✔ g…"},
		{"\x1b[32m✔ green\x1b[0m", 7, "\x1b[32m✔ green\x1b[0m"},
		{"✔✔✔", 2, "✔…"},
		{"ab", 1, "…"},
		{"ab", 0, "…"},
		{"", 3, ""},
	} {
		if got := cut(c.line, c.n); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.line, c.n, got, c.want)
		}
	}
}
