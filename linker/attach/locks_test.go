package attach

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestOneOperationOnAnEndpointAtATime(t *testing.T) {
	l := endpointLocks{held: map[string]chan struct{}{}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := l.with(t.Context(), "a", func() error {
		err := l.with(ended, "a", func() error { return errors.New("it ran") })
		if err == nil || !strings.Contains(err.Error(), "is busy") {
			t.Errorf("a second operation on the endpoint returned %v, want an error that says that the endpoint is busy", err)
		}
		return l.with(t.Context(), "b", func() error { return nil })
	})
	if err != nil {
		t.Errorf("an operation on another endpoint returned %v, want it to run", err)
	}
	if len(l.held) != 0 {
		t.Errorf("%d locks are left after all operations, want none", len(l.held))
	}
}
