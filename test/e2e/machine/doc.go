// Package machine holds the end-to-end tests of what one machine sees: labs that
// are interrupted and killed, and an app on the machine's own Docker Engine, with
// reboots. Each test has a machine of its own, made of namespaces, so that they
// find whatever is left behind and touch nothing of the real one.
package machine
