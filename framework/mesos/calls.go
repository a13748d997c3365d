package mesos

import (
	"context"
	"fmt"
	"io"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Call makes one call in the present subscription. It fills in the framework ID. A nil
// error means that the master has taken the call, not that it had an effect: the master
// also takes calls about offers, tasks and roles that it does not know. An error that
// voids the subscription makes Run subscribe again.
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
