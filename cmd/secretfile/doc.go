// Package secretfile reads files that hold secrets: a password, or the keys of gossip.
// It refuses a file that users other than its owner can read, and no error of it
// repeats what a file says.
package secretfile
