package privilege

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"tombolo/cmd/errortest"
)

func TestExplainAsksForSudoOnlyIfPermissionIsMissing(t *testing.T) {
	denied := fmt.Errorf("dial: %w", fs.ErrPermission)
	errortest.Contains(t, Explain(denied, "/run/x.sock"), "root is needed: /run/x.sock belongs to root (try with sudo)")
	other := errors.New("refused")
	if got := Explain(other, "/run/x.sock"); !errors.Is(got, other) || got.Error() != other.Error() {
		t.Errorf("another error became %v, want it unchanged", got)
	}
	errortest.Contains(t, Explain(nil, "/run/x.sock"), "")
}
