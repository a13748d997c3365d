package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestGossipKeys(t *testing.T) {
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
		{"twice", strings.Repeat("0", 32) + "\n" + strings.Repeat("A", 22) + "==", nil, "line 2: the key is there already"},
		{"bits beyond", "AAAAAAAAAAAAAAAAAAAAAB==", nil, "line 1: is neither"},
	} {
		got, err := parseGossipKeys(c.text)
		wantError(t, err, c.err)
		if diff := cmp.Diff(c.want, got); c.err == "" && diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the key: %v", c.name, err)
		}
	}
}

func FuzzGossipKeys(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==\n#\n0f")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseGossipKeys(text)
		for _, k := range keys {
			if err == nil && len(k) != 16 && len(k) != 24 && len(k) != 32 {
				t.Errorf("a key of %d bytes", len(k))
			}
		}
	})
}

func TestGossipKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	writeFile(t, file, strings.Repeat("ab", 32)+"\n")
	cfg, err := parseLinker(t, nil, map[string]string{"TOMBOLO_GOSSIP_KEY_FILE": file})
	if err != nil || len(cfg.Keys) != 1 || !bytes.Equal(cfg.Keys[0], bytes.Repeat([]byte{0xab}, 32)) {
		t.Errorf("keys %x, %v", cfg.Keys, err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{file: "can be read by others", filepath.Dir(file): "is no file", file + "x": "no such file"} {
		_, err := parseLinker(t, []string{"--gossip-key-file", path}, nil)
		wantError(t, err, "--gossip-key-file: ")
		wantError(t, err, want)
	}
}

// What the example says is what there is.
func TestLinkerEnvironmentExample(t *testing.T) {
	text, err := os.ReadFile("../../packaging/tombolo-linker.env.example")
	if err != nil {
		t.Fatal(err)
	}
	var raw linkerFlags
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	raw.register(flags)
	lines := regexp.MustCompile(`(?m)^#?TOMBOLO_(\w+)=(.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(lines) < 5 {
		t.Fatalf("%d variables", len(lines))
	}
	for _, l := range lines {
		name, value := strings.ToLower(strings.ReplaceAll(l[1], "_", "-")), l[2]
		if name == "flags" {
			if err := flags.Parse(strings.Fields(value)); err != nil {
				t.Error(err)
			}
		} else if err := flags.Set(name, value); err != nil {
			t.Error(err)
		}
	}
	raw.keyFile = "" // it is not on this machine
	cfg, err := raw.config()
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		t.Error(err)
	}
}
