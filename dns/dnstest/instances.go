package dnstest

import (
	"slices"

	"tombolo/linker/record"
)

// Instances are names of instances that never change. It implements record.Instances.
type Instances struct {
	Found  map[string]record.Answers
	Hidden []string // names of ours that the view does not have
}

// Find implements record.Instances.
func (i Instances) Find(name string) (record.Answers, bool) {
	a, ok := i.Found[name]
	return a, ok
}

// Ours implements record.Instances.
func (i Instances) Ours(name string) bool {
	_, found := i.Found[name]
	return found || slices.Contains(i.Hidden, name)
}
