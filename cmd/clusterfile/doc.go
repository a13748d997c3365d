// Package clusterfile describes the file that lists the hosts of an embedded
// cluster: `tombolo daemon run --cluster FILE` reads it, and a lab writes one. It runs
// nothing.
package clusterfile
