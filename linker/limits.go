package linker

import (
	"context"
	"errors"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/problem"
)

// limits reports what was refused because of the limits of the catalog and the gossip.
type limits struct {
	parts    []refuser
	problems *problem.Set

	reasons map[string]refused // by text
}

// refuser tells why it has refused something since the last call.
type refuser interface{ Refused() []error }

// maxReasons bounds the reasons that are kept.
const maxReasons = 20

type refused struct {
	why  error
	seen time.Time
}

// run looks once a second until ctx ends: nothing urgent follows from a refusal.
func (l *limits) run(ctx context.Context) error {
	for wake.Sleep(ctx, time.Second) {
		l.report(time.Now())
	}
	return nil
}

// report names each reason for as long as conflictAge after its last refusal.
func (l *limits) report(now time.Time) {
	if l.reasons == nil {
		l.reasons = map[string]refused{}
	}
	for _, part := range l.parts {
		for _, why := range part.Refused() {
			l.reasons[why.Error()] = refused{why, now}
		}
	}
	var errs []error
	for text, r := range l.reasons {
		if now.Sub(r.seen) > conflictAge || len(errs) > maxReasons {
			delete(l.reasons, text)
			continue
		}
		errs = append(errs, r.why)
	}
	l.problems.Report(problem.LimitReached, errors.Join(errs...))
}
