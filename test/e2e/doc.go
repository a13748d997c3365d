// Package e2e tests Tombolo from end to end in a lab of three virtual hosts: real
// Docker Engines, real kernel networking, the embedded cluster, the command line.
// Nothing in it looks inside a process: what is tested is what users and
// containers see.
package e2e
