// Package vm tests Tombolo on kernels other than this machine's. It boots virtual machines in an
// emulator (QEMU), which works without hardware support.
package vm
