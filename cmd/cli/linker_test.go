package cli

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"tombolo/linker"
)

// parseLinker reads a command line and an environment as tombolo linker does.
func parseLinker(t *testing.T, args []string, env map[string]string) (linker.Config, error) {
	t.Helper()
	var raw linkerFlags
	flags := pflag.NewFlagSet("linker", pflag.ContinueOnError)
	raw.register(flags)
	if err := flags.Parse(args); err != nil {
		return linker.Config{}, err
	}
	err := fromEnvironment(flags, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		return linker.Config{}, err
	}
	return raw.config()
}

func TestLinkerReadsFlagsAndEnvironment(t *testing.T) {
	got, err := parseLinker(t,
		[]string{"--host", "h1", "--join", "198.18.0.12,198.18.0.13", "--pool6", "fd12:3456:789a::/48"},
		map[string]string{"TOMBOLO_UNDERLAY": "198.18.0.11", "TOMBOLO_HOST": "not this one", "TOMBOLO_JOIN_TIMEOUT": "3s"})
	if err != nil {
		t.Fatal(err)
	}
	want := linker.Config{
		Host: "h1", Underlay: netip.MustParseAddr("198.18.0.11"), Join: []string{"198.18.0.12", "198.18.0.13"},
		Pool6: netip.MustParsePrefix("fd12:3456:789a::/48"), JoinTimeout: 3 * time.Second,
	}
	same := cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
	onlyThese := cmp.FilterPath(func(p cmp.Path) bool {
		switch p.String() {
		case "", "Host", "Underlay", "Join", "Pool6", "JoinTimeout":
			return false
		}
		return !strings.HasPrefix(p.String(), "Join")
	}, cmp.Ignore())
	if diff := cmp.Diff(want, got, same, onlyThese); diff != "" {
		t.Errorf("Config (-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

func TestLinkerReportsWrongFlags(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  map[string]string
		want []string
	}{
		{"every wrong one is named", []string{"--underlay", "h1", "--pool", "10/8"}, nil, []string{"--underlay", "--pool"}},
		{"an environment variable is named", nil, map[string]string{"TOMBOLO_VNI": "many"}, []string{"TOMBOLO_VNI"}},
		{"a port that is too large", []string{"--gossip-port", "70000"}, nil, []string{"gossip-port"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseLinker(t, tt.args, tt.env)
			if err == nil {
				t.Fatalf("%v with environment %v was accepted", tt.args, tt.env)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not name %s", err, w)
				}
			}
		})
	}
}
