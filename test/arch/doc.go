// Package arch holds the tests of the repository's shape: which package may import which,
// and that ARCHITECTURE.md shows the same table; a doc comment for every package; the
// length and the formatting of files. It looks at the source only and runs nothing.
//
// Start reading at allowed, the import table.
package arch
