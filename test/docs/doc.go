// Package docs holds the tests of the documents: links lead to files and headings
// that exist, paths and test names that a page mentions exist in the tree, each
// direct dependency has its line, and each decision is in the index.
//
// It checks what can become false by a change elsewhere, never style. Start reading at
// docs_test.go; markdown.go finds links, headings and paths in a page.
package docs
