// Package e2e tests Tombolo from end to end in a lab of three virtual hosts, with real Docker
// Engines, real kernel networking, the embedded cluster and the command line. The tests look at
// what users and containers see, and never inside a process.
package e2e
