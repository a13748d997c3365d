// Package api is the framework's front door: the types that it shows, an HTTP
// server that speaks JSON and server-sent events, and the client beside it.
//
//	PUT    /v1/apps/{name}         an App; answers its revision
//	DELETE /v1/apps/{name}         ends it (?volumes=1: and forgets where its volumes are)
//	GET    /v1/apps                the Status of every app
//	GET    /v1/apps/{name}         the Status of one
//	GET    /v1/apps/{name}/spec    the App as it was last put
//	GET    /v1/apps/{name}/events  its Status, now and after every change
//	GET    /v1/apps/{name}/logs    output of its instances, one JSON object a line
//	GET    /v1/info                the framework and its cluster
//
// It decides nothing: what it is asked it hands to a Cluster, what it shows it
// takes from a Cluster's Snapshot.
package api
