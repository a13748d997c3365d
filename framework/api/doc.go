// Package api is the framework's HTTP API: its types, a server that speaks JSON and
// server-sent events, and a client.
//
//	PUT    /v1/apps/{name}         run the App in the body; returns its revision
//	DELETE /v1/apps/{name}         end the app (?volumes=1: and forget where its volumes are)
//	POST   /v1/apps/{name}/recreate-volumes  permit that volumes of the app that are gone are made anew
//	GET    /v1/apps                the Status of every app
//	GET    /v1/apps/{name}         the Status of one app
//	GET    /v1/apps/{name}/spec    the App as it was last put
//	GET    /v1/apps/{name}/events  the app's Status, now and after every change
//	GET    /v1/apps/{name}/logs    output of the app's instances, one LogLine a line
//	GET    /v1/volumes             the Volumes that tie instances to hosts
//	DELETE /v1/volumes/{name}      remove a volume and its data from its host
//	POST   /v1/volumes/{name}/unpin  forget the host of a volume, which is gone
//	GET    /v1/info                Info about the framework and its cluster
//
// The server decides nothing: it passes commands to a Cluster and shows the Cluster's
// Snapshot. Start reading at Cluster.
package api
