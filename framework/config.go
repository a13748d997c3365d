package framework

import (
	"log/slog"

	"tombolo/framework/api"
	"tombolo/framework/store"
)

// Config is what a Framework needs.
type Config struct {
	Master Master
	Store  *store.Store
	// Linkers are the linkers that the framework can reach, by host name. One of them
	// shows the catalog of all hosts, but logs are only read from the hosts named here.
	// Without any linker, a running task counts as healthy and resolvable, and containers
	// keep Docker's resolver.
	Linkers map[string]Linker
	// Info is the part of the API's answer to /v1/info that the framework does not know
	// itself. An empty Master is filled in with the leader's address, an empty Zone with
	// "tombolo.internal".
	Info api.Info
	Log  *slog.Logger // nil: slog.Default()
}
