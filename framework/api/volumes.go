package api

import (
	"context"
	"net/http"
	"net/url"
)

// Volume is a volume that exists on one host only.
type Volume struct {
	Name   string   `json:"name"`
	App    string   `json:"app,omitempty"` // "": no app that is up has it
	Host   string   `json:"host"`          // that has its data
	HostUp bool     `json:"host_up"`       // the host is there
	OfSlot bool     `json:"of_slot,omitempty"`
	UsedBy []string `json:"used_by,omitempty"` // instances that run with it or wait for it, like shop/db.1
}

// VolumeTable knows the volumes that tie instances to hosts. Any goroutine may call its methods.
type VolumeTable interface {
	ListVolumes(ctx context.Context) ([]Volume, error)
	// RemoveVolume removes a volume and its data from its host. It returns ErrConflict if an
	// instance uses the volume or the host cannot be reached.
	RemoveVolume(ctx context.Context, name string) (Volume, error)
	// UnpinVolume forgets where a volume is, so that its service starts with an empty one on another
	// host. It returns ErrConflict if the host is there.
	UnpinVolume(ctx context.Context, name string) (Volume, error)
}

func (s *server) volumes(w http.ResponseWriter, r *http.Request) error {
	list, err := s.config.VolumeTable.ListVolumes(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]Volume{}, list...)) // in JSON a list, never null
}

// change returns a handler that responds with the volume that do has changed.
func (s *server) change(do func(VolumeTable, context.Context, string) (Volume, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := do(s.config.VolumeTable, r.Context(), r.PathValue("name"))
		if err != nil {
			return err
		}
		return reply(w, http.StatusOK, v)
	}
}

// Volumes returns the volumes that tie instances to hosts, by name.
func (c *Client) Volumes(ctx context.Context) (list []Volume, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/volumes", nil, &list)
	return list, err
}

// RemoveVolume removes a volume and its data from its host.
func (c *Client) RemoveVolume(ctx context.Context, name string) (v Volume, err error) {
	err = c.call(ctx, http.MethodDelete, "/v1/volumes/"+url.PathEscape(name), nil, &v)
	return v, err
}

// UnpinVolume forgets the host of a volume, which must be gone.
func (c *Client) UnpinVolume(ctx context.Context, name string) (v Volume, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/volumes/"+url.PathEscape(name)+"/unpin", nil, &v)
	return v, err
}
