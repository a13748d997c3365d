// Package contest notices that another program undoes what the linker sets in the kernel again
// and again, and guesses which program that is.
//
// Counts remembers what overlay.Overlay has put right. Suspects looks at the files of the host
// that make systemd-networkd, sysctl and others change these things. Both are pure: the time and
// the file system are arguments. Nothing here changes anything.
//
// Start reading at Counts.
package contest
