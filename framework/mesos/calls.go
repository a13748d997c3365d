package mesos

import (
	"context"
	"fmt"
	"io"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Call sends one call of the present subscription; it fills in the framework id.
// A nil error means that the master took it, not that it did anything: calls
// about unknown offers, tasks or roles are taken too. An error that voids the
// subscription makes Run subscribe anew.
func (c *Client) Call(ctx context.Context, call *scheduler.Call) error {
	s := c.current()
	if s == nil {
		return fmt.Errorf("%s: %w", call.Type, ErrDisconnected)
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.CallTimeout)
	defer cancel()
	sent := *call
	sent.FrameworkID = &mesos.FrameworkID{Value: c.FrameworkID()}
	response, err := c.post(ctx, s.url, s.streamID, &sent)
	if err != nil {
		err = fmt.Errorf("%s: %w", call.Type, err)
		if sessionLost(err) {
			s.cancel(err)
		}
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxErrorBody)); err != nil {
		return fmt.Errorf("%s: %w", call.Type, err)
	}
	return nil
}
