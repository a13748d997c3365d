package overlay

import (
	"errors"
	"fmt"
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
	wrong(!c.Self.Block4.IsValid() || !c.Pool4.Contains(c.Self.Block4.Addr()), "block %s is not in pool %s", c.Self.Block4, c.Pool4)
	wrong(!c.Self.Overlay4.IsValid() || !c.Self.Block4.Contains(c.Self.Overlay4), "own address %s is not in block %s", c.Self.Overlay4, c.Self.Block4)
	if c.Pool6.IsValid() {
		wrong(!c.Self.Block6.IsValid() || !c.Pool6.Contains(c.Self.Block6.Addr()), "block %s is not in pool %s", c.Self.Block6, c.Pool6)
		wrong(!c.Self.Overlay6.IsValid() || !c.Self.Block6.Contains(c.Self.Overlay6), "own address %s is not in block %s", c.Self.Overlay6, c.Self.Block6)
	}
	wrong(len(c.Self.MAC) != 6, "no MAC address for %s", Device)
	wrong(c.VNI <= 0 || c.VNI >= 1<<24, "VNI %d is out of range", c.VNI)
	wrong(c.Port == 0, "no VXLAN port")
	return errors.Join(problems...)
}
