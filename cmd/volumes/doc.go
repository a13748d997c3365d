// Package volumes removes the named volumes of an app from the hosts of an embedded
// cluster, for `tombolo down --volumes`. It decides before the app is touched whether it
// can: see Plan.
package volumes
