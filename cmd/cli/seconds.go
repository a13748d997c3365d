package cli

import (
	"fmt"
	"strconv"
	"time"
)

// seconds is the value of a flag: a number of seconds, as for docker compose, or a
// duration like 1m30s. Zero: the flag is not set.
type seconds struct{ time.Duration }

// Set implements pflag.Value.
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, nerr := strconv.ParseUint(text, 10, 31); nerr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 {
		return fmt.Errorf("%q is neither a number of seconds nor like 1m30s", text)
	}
	s.Duration = d
	return nil
}

// String implements pflag.Value.
func (s *seconds) String() string {
	if s.Duration == 0 {
		return "" // unset
	}
	return s.Duration.String()
}

// Type implements pflag.Value.
func (s *seconds) Type() string { return "duration" }
