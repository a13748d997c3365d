package overlay

import (
	"errors"
	"fmt"
	"net/netip"
)

// Validate reports every problem that would keep Set from working.
func (c Config) Validate() error {
	var problems []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("overlay config: "+format, args...))
		}
	}
	wrong(!c.Pool4.IsValid() || !c.Pool4.Addr().Is4(), "no IPv4 pool")
	wrong(!within(c.Self.Block4, c.Pool4), "block %s is not in pool %s", c.Self.Block4, c.Pool4)
	wrong(!c.Self.Overlay4.IsValid() || !c.Self.Block4.Contains(c.Self.Overlay4), "own address %s is not in block %s", c.Self.Overlay4, c.Self.Block4)
	if c.Pool6.IsValid() {
		wrong(!within(c.Self.Block6, c.Pool6), "block %s is not in pool %s", c.Self.Block6, c.Pool6)
		wrong(!c.Self.Overlay6.IsValid() || !c.Self.Block6.Contains(c.Self.Overlay6), "own address %s is not in block %s", c.Self.Overlay6, c.Self.Block6)
	}
	for _, p := range c.Peers { // or a peer could take any traffic of this host's
		wrong(p.Block4.IsValid() && !within(p.Block4, c.Pool4), "block %s of %s is not in pool %s", p.Block4, p.Name, c.Pool4)
		wrong(c.Pool6.IsValid() && p.Block6.IsValid() && !within(p.Block6, c.Pool6), "block %s of %s is not in pool %s", p.Block6, p.Name, c.Pool6)
	}
	wrong(len(c.Self.MAC) != 6, "no MAC address for %s", Device)
	wrong(c.VNI <= 0 || c.VNI >= 1<<24, "VNI %d is out of range", c.VNI)
	wrong(c.Port == 0, "no VXLAN port")
	return errors.Join(problems...)
}

// within reports whether block is a part of pool.
func within(block, pool netip.Prefix) bool {
	return block.IsValid() && pool.Bits() <= block.Bits() && pool.Contains(block.Addr())
}
