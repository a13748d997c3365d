package linker

import (
	"net/netip"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	prefix := netip.MustParsePrefix
	good := Config{Host: "h1", Underlay: netip.MustParseAddr("198.18.0.11")}
	if err := good.Validate(); err != nil {
		t.Errorf("a name and an underlay address are enough, but Validate returned %v", err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"the host's name is no DNS label", func(c *Config) { c.Host = "no/label" }, "host name"},
		{"the underlay address is unspecified", func(c *Config) { c.Underlay = netip.IPv4Unspecified() }, "no underlay address"},
		{"the pool is smaller than a block", func(c *Config) { c.Pool4 = prefix("10.0.0.0/25") }, "at least a /24"},
		{"the pool has host bits", func(c *Config) { c.Pool4 = prefix("10.0.0.1/16") }, "at least a /24"},
		{"the IPv6 pool is no /48", func(c *Config) { c.Pool6 = prefix("fd00::/64") }, "want a /48"},
		{"the block is outside of the pool", func(c *Config) { c.Block = prefix("10.0.0.0/24") }, "want a /24 of 100.64.0.0/10"},
		{"the block is in the VIP range", func(c *Config) { c.Block = prefix("100.127.3.0/24") }, "outside 100.127.0.0/16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate returned %v, want an error with %q", err, tt.want)
			}
		})
	}
}
