package api

import (
	"context"
	"errors"
	"net/http"

	"tombolo/framework/app"
)

// The errors that a Cluster wraps to say what went wrong. Each has its HTTP status, and the
// client returns it again.
var (
	ErrNotFound    = errors.New("not found")   // there is no such app
	ErrConflict    = errors.New("conflict")    // the app cannot be put now
	ErrInvalid     = errors.New("invalid")     // the request or the App has an error
	ErrUnavailable = errors.New("unavailable") // the framework does not answer; try again
)

var statuses = map[error]int{
	ErrNotFound: http.StatusNotFound, ErrConflict: http.StatusConflict,
	ErrInvalid: http.StatusBadRequest, ErrUnavailable: http.StatusServiceUnavailable,
}

// Cluster runs apps. Any goroutine may call its methods.
type Cluster interface {
	// PutApp makes the cluster run the app and returns its revision. The same App again
	// keeps its revision.
	PutApp(ctx context.Context, wanted app.App) (revision uint64, err error)
	// DeleteApp begins to end the app. With volumes it also forgets, at the end, which
	// hosts hold the app's volumes; the caller removes the volumes themselves.
	DeleteApp(ctx context.Context, name string, volumes bool) error
	// Snapshot returns the present state, and a channel that the next change closes.
	Snapshot() (*Snapshot, <-chan struct{})
}

// Logs shows the output of instances.
type Logs interface {
	// Logs calls fn with each line until the output ends, ctx ends or fn returns an
	// error.
	Logs(ctx context.Context, app string, query LogQuery, fn func(LogLine) error) error
}

// Snapshot is the state of the apps and their cluster at one moment. It never changes.
type Snapshot struct {
	Info Info
	Apps map[string]Status  // by name
	Spec map[string]app.App // by name, as last put
}

// LogQuery selects output. The zero LogQuery selects all output so far.
type LogQuery struct {
	Service string // "": every service
	Slot    int    // 0: every instance
	Follow  bool   // wait for more output, also of instances that start later
	Tail    int    // at most so many earlier lines of each instance; 0: all, negative: none
}

// revision is the response to a PUT.
type revision struct {
	Revision uint64 `json:"revision"`
}
