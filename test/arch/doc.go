// Package arch holds the tests of the repository's shape: who may import whom, a
// doc comment for every package, file sizes, formatting, and no file that names
// the machine it was written on.
package arch
