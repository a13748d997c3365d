// Package vm has tests of kernels that this machine does not run: a User-Mode Linux,
// which is a Linux kernel as a process, over a folder of the test's own.
package vm
