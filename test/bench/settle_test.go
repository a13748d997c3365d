package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSettleTriesUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := settle(t.Context(), func() error {
			if tries++; tries < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || tries != 3 {
			t.Errorf("settle = %v after %d tries, want success after 3", err, tries)
		}
	})
}

func TestSettleGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, tries := errors.New("never"), 0
		try := func() error { tries++; return never }
		if err := settle(t.Context(), try); !errors.Is(err, never) || tries != settleTries {
			t.Errorf("settle = %v after %d tries, want %v after %d", err, tries, never, settleTries)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*settleEvery)
		defer cancel()
		began := time.Now()
		if err := settle(ctx, try); !errors.Is(err, never) || time.Since(began) != 5*settleEvery {
			t.Errorf("settle = %v after %v, want %v when its context ends after %v", err, time.Since(began), never, 5*settleEvery)
		}
	})
}
