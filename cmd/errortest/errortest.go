// Package errortest compares errors in tests by the text that a user reads.
package errortest

import (
	"strings"
	"testing"
)

// Contains reports a test error unless the text of err contains want. An empty want
// stands for no error.
func Contains(t testing.TB, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got error %v, want one that contains %q", err, want)
	}
}
