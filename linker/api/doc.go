// Package api is a linker's HTTP API on its unix socket, the client of it, and the
// words that both speak.
//
//	GET    /v1/status                            Status
//	GET    /v1/catalog[?index=N&run=R&wait=30s]  record.Snapshot; with index, once it is another one, or 304
//	PUT    /v1/apps/{name}                       record.Record of kind app; 409 if it is not the newest known
//	DELETE /v1/apps/{name}                       record.Record, the app's tombstone
//	GET    /v1/containers/{id or name}/logs[?follow=1&tail=N]   lines of LogLine
//	GET    /v1/resolve?name=N[&from=C]           Resolution; from is a container's ID, name or address, else the host
//
// Every other status than 2xx and 304 carries an Error. Who may open the socket may
// do everything: its mode is 0660. The package holds no state of its own and imports
// linker/record alone.
package api
