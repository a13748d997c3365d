// Package vm tests Tombolo on a kernel that this machine does not run: it boots
// virtual machines in an emulator (QEMU), which works without hardware support.
package vm
