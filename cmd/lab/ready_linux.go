package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"tombolo/internal/unixhttp"
	"tombolo/internal/wake"
	linkerapi "tombolo/linker/api"
)

// How often waitFor asks, and how long one answer may take.
const (
	pollEvery = 50 * time.Millisecond
	pollWait  = 2 * time.Second
)

// WaitHost returns when the Engine of a host answers and its linker, if it has one, is
// ready and sees the linker of every living host.
func (l *Lab) WaitHost(ctx context.Context, name string) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	err = waitFor(ctx, h.Init, h.engineReady)
	if err != nil || l.NoLinker {
		return explain("Docker Engine of "+name, filepath.Join(name, "dockerd.log"), err)
	}
	err = waitFor(ctx, h.Init, func(ctx context.Context) error { return l.linkerReady(ctx, h) })
	return explain("linker of "+name, filepath.Join(name, "linker.log"), err)
}

// waitFor calls check until it returns nil. It gives up with check's last error when ctx
// ends, and at once when process p ends, because another process may answer in its place.
func waitFor(ctx context.Context, p Process, check func(context.Context) error) error {
	for {
		if !p.Alive() {
			return fmt.Errorf("process %d ended", p.PID)
		}
		asked, cancel := context.WithTimeout(ctx, pollWait)
		err := check(asked)
		cancel()
		if err == nil {
			return nil
		}
		if !wake.Sleep(ctx, pollEvery) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (h Host) engineReady(ctx context.Context) error {
	transport := unixhttp.Transport(h.engineSocket())
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ping: %s", resp.Status)
	}
	return nil
}

func (l *Lab) linkerReady(ctx context.Context, h *Host) error {
	client := linkerapi.NewClient(h.LinkerSocket())
	defer client.Close()
	s, err := client.Status(ctx)
	if err != nil {
		return err
	}
	seen, living := 0, 0
	for _, p := range s.Peers {
		if p.State == "alive" {
			seen++
		}
	}
	for _, o := range l.Hosts {
		if o.Name != h.Name && o.Alive() {
			living++
		}
	}
	if !s.Ready || seen < living {
		return fmt.Errorf("not ready: sees %d of %d peers, problems %v", seen, living, s.Problems)
	}
	return nil
}
