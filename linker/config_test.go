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
		t.Errorf("a host and its address are enough: %v", err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"host name", func(c *Config) { c.Host = "no/label" }, "host name"},
		{"no address", func(c *Config) { c.Underlay = netip.IPv4Unspecified() }, "no underlay address"},
		{"small pool", func(c *Config) { c.Pool4 = prefix("10.0.0.0/25") }, "at least a /24"},
		{"host bits", func(c *Config) { c.Pool4 = prefix("10.0.0.1/16") }, "at least a /24"},
		{"IPv6 pool", func(c *Config) { c.Pool6 = prefix("fd00::/64") }, "want a /48"},
		{"block outside", func(c *Config) { c.Block = prefix("10.0.0.0/24") }, "want a /24 of 100.64.0.0/10"},
		{"block of VIPs", func(c *Config) { c.Block = prefix("100.127.3.0/24") }, "outside 100.127.0.0/16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}
}
