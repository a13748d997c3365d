// Package mesostest is for tests of what speaks the Mesos v1 scheduler API: the
// exchanges recorded from a real master, and a scripted master. It is never
// linked into the program.
package mesostest
