// Package problem has the conditions that an operator should know about. Each kind has a
// stable name, a severity, a meaning and a remedy. `tombolo linker status`, the linker's
// API, its metrics and `tombolo doctor` show the same list, and docs/problems.md is made
// from it.
//
// A part of the linker that finds something wrong returns an error and does not log it.
// The linker reports it to its Set: Report(kind, err) while it lasts, Report(kind, nil)
// when it has ended. Where the condition concerns one peer, container or rule, the part
// wraps the error with About, or returns a Found that has a remedy of its own. Start
// reading at Kind; kinds.go has all kinds.
package problem
