// Package machine has the end-to-end tests of a single machine: labs that are interrupted and
// killed, and an app on the machine's own Docker Engine, with reboots. Each test has a machine of
// its own, made of namespaces. So it finds everything that Tombolo leaves behind, and changes
// nothing on the real machine.
package machine
