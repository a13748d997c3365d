// Package mesostest helps to test clients and servers of the Mesos v1 scheduler API. It has
// exchanges that were recorded with a real master, and an HTTP server in memory. The
// program never links it. Start reading at Recordings.
//
// The recordings are complete, with two exceptions: the times of one subscription, which
// a second framework disturbed, are missing, and only the beginning of long answers to
// operator calls is kept.
package mesostest
