// Package mesostest is for tests of what speaks the Mesos v1 scheduler API: the
// exchanges recorded from a real master, and a scripted master. It is never
// linked into the program.
//
// The recordings hold every exchange with the real master and its agent, but for
// one subscription by curl that a second framework disturbed, whose times nobody
// took; of long answers that no scheduler gets only the head is kept.
package mesostest
