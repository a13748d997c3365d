package overlay

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

// A listing that a change has interrupted is repeated, because an entry may be missing.
func TestInterruptedListingsAreRepeated(t *testing.T) {
	calls := 0
	got, err := dump(func() ([]int, error) {
		calls++
		if calls < 4 {
			return []int{1}, netlink.ErrDumpInterrupted
		}
		return []int{1, 2}, nil
	})
	if err != nil || len(got) != 2 {
		t.Errorf("after %d calls dump = %v, %v, want the listing of the fourth", calls, got, err)
	}
	broken := errors.New("broken")
	if _, err := dump(func() ([]int, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("dump = %v, want the error of the listing", err)
	}
}
