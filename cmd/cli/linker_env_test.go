package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tombolo/cmd/errortest"
)

func TestLinkerReadsTheGossipKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	writeFile(t, file, strings.Repeat("ab", 32)+"\n")
	cfg, err := parseLinker(t, nil, map[string]string{"TOMBOLO_GOSSIP_KEY_FILE": file})
	if err != nil || len(cfg.Keys) != 1 || !bytes.Equal(cfg.Keys[0], bytes.Repeat([]byte{0xab}, 32)) {
		t.Errorf("got the keys %x and error %v, want one key of 32 bytes ab", cfg.Keys, err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{file: "can be read by users other than its owner", filepath.Dir(file): "is not a regular file", file + "x": "no such file"} {
		_, err := parseLinker(t, []string{"--gossip-key-file", path}, nil)
		errortest.Contains(t, err, "--gossip-key-file: ")
		errortest.Contains(t, err, want)
	}
}

func TestTheEnvironmentExampleNamesRealFlags(t *testing.T) {
	text, err := os.ReadFile("../../packaging/tombolo-linker.env.example")
	if err != nil {
		t.Fatal(err)
	}
	var raw linkerFlags
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	raw.register(flags)
	lines := regexp.MustCompile(`(?m)^#?TOMBOLO_(\w+)=(.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(lines) < 5 {
		t.Fatalf("the example has %d variables, want at least 5", len(lines))
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
	raw.keyFile = "" // the file does not exist on this machine
	cfg, err := raw.config()
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		t.Error(err)
	}
}
