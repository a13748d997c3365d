package api

import (
	"context"
	"errors"
	"time"

	"tombolo/framework/app"
)

// What a Cluster's errors mean to whoever asked. Wrap them to say more.
var (
	ErrNotFound    = errors.New("not found")   // 404
	ErrConflict    = errors.New("conflict")    // 409: not now, or not beside what runs
	ErrInvalid     = errors.New("invalid")     // 400
	ErrUnavailable = errors.New("unavailable") // 503: try again
)

// Cluster is what the server asks. Its methods may be called by many goroutines.
type Cluster interface {
	// PutApp makes the app wanted and returns its revision. The same App again
	// keeps its revision.
	PutApp(ctx context.Context, wanted app.App) (revision uint64, err error)
	// DeleteApp makes the app unwanted. It returns before everything is gone. With
	// volumes the hosts that hold its volumes are forgotten at the end: whoever
	// asks removes the volumes themselves.
	DeleteApp(ctx context.Context, name string, volumes bool) error
	// Snapshot is the present one and a channel that is closed by the next one.
	Snapshot() (*Snapshot, <-chan struct{})
}

// Logs copies the output of an app's instances to fn until it ends, ctx does or
// fn returns an error.
type Logs interface {
	Logs(ctx context.Context, app string, query LogQuery, fn func(LogLine) error) error
}

// Snapshot is an immutable picture of all that the framework knows.
type Snapshot struct {
	Info Info
	Apps map[string]Status
	Spec map[string]app.App
}

// LogQuery selects what Logs shows.
type LogQuery struct {
	Service string // "": every service
	Slot    int    // 0: every instance
	Follow  bool   // go on with what comes, restarted instances included
	Tail    int    // at most so many earlier lines an instance; 0: all, negative: none
}

// revision answers a PUT.
type revision struct {
	Revision uint64 `json:"revision"`
}

const (
	maxBody  = 4 << 20          // bytes of an App
	pingWait = 15 * time.Second // between comments on a quiet event stream
)
