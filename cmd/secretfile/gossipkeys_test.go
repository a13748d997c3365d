package secretfile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/errortest"
)

func TestGossipKeysReportsEveryWrongLine(t *testing.T) {
	zeros := func(n int) []byte { return make([]byte, n) }
	for _, c := range []struct {
		name, text string
		want       [][]byte
		err        string
	}{
		{"base64", "AAAAAAAAAAAAAAAAAAAAAA==\n", [][]byte{zeros(16)}, ""},
		{"hex", strings.Repeat("0", 64), [][]byte{zeros(32)}, ""},
		{"hex digits are hex", strings.Repeat("0", 32), [][]byte{zeros(16)}, ""},
		{"rotation", "# new\n" + strings.Repeat("00", 24) + "\n\n# old\n" + strings.Repeat("A", 22) + "==\r\n", [][]byte{zeros(24), zeros(16)}, ""},
		{"nothing", "# none yet\n\n", nil, "holds no key"},
		{"short", strings.Repeat("0", 30), nil, "line 1: a key of 15 bytes: want 16, 24 or 32"},
		{"every line", "secret!\n\nshort\n", nil, "line 1: is neither base64 nor hexadecimal\nline 3: is neither"},
		{"twice", strings.Repeat("0", 32) + "\n" + strings.Repeat("A", 22) + "==", nil, "line 2: repeats a key"},
		{"bits beyond", "AAAAAAAAAAAAAAAAAAAAAB==", nil, "line 1: is neither"},
	} {
		got, err := parseGossipKeys(c.text)
		errortest.Contains(t, err, c.err)
		if diff := cmp.Diff(c.want, got); c.err == "" && diff != "" {
			t.Errorf("%s: keys (-want +got):\n%s", c.name, diff)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats the key: %v", c.name, err)
		}
	}
}

func FuzzGossipKeys(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==\n#\n0f")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseGossipKeys(text)
		for _, k := range keys {
			if err == nil && len(k) != 16 && len(k) != 24 && len(k) != 32 {
				t.Errorf("a key of %d bytes was accepted", len(k))
			}
		}
	})
}
