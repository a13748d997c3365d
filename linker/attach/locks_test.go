package attach

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestOneOperationOnAnEndpointAtATime(t *testing.T) {
	var l endpointLocks
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
	l.held.Range(func(id, _ any) bool {
		t.Errorf("the lock of endpoint %s is left after all operations, want none", id)
		return true
	})
}
