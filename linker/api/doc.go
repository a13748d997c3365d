// Package api has the HTTP API of a linker on its unix socket, the client of that API,
// and the types that both use.
//
//	GET    /v1/status                            Status
//	GET    /v1/catalog[?index=N&run=R&wait=30s]  record.Snapshot; see below
//	PUT    /v1/apps/{name}                       an encoded record.Record of an app; 409 if it is not the newest known
//	DELETE /v1/apps/{name}                       an encoded record.Record, the app's tombstone
//	GET    /v1/containers/{id or name}/logs[?follow=1&tail=N]   lines of LogLine
//	GET    /v1/containers/{id or name}           Container
//	GET    /v1/volumes/{name}                    Volume
//	DELETE /v1/volumes/{name}                    remove it with its data; 400 if a container has it
//	GET    /v1/engine                            EngineVersion
//	GET    /v1/resolve?name=N[&from=C]           Resolution for the container C (ID, name or address), or for the host
//
// A request for the catalog with the index and the run of an earlier answer waits, up to
// wait, for another snapshot; without one the answer is 304. Every status other than 2xx and
// 304 comes with an Error. Everybody who may open the socket may do everything.
//
// The package keeps no state of the linker. Start with Server and Client.
package api
