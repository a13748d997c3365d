// Package daemon runs the processes of this machine that live long: the embedded
// cluster (Run), the framework of a real cluster (RunFramework) and the linker with its
// supervisor (RunLinker). It also starts the embedded cluster detached (Start) and takes
// it down (Stop).
//
// At most one process serves the framework's API on a machine; the lock of package
// rundir sees to it. Commands that must not start a second cluster ask PartOfCluster.
//
// The package parses no flags. Start reading at Run.
package daemon
