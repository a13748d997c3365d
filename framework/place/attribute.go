package place

import (
	"slices"
	"strconv"
)

// Attribute is an attribute of a Mesos agent. Mesos makes a scalar of `rack:3`, ranges of
// `ports:[1-3]`, a set of `disks:{ssd,hdd}` and a text of anything else.
type Attribute struct {
	Kind   AttributeKind
	Text   string
	Number float64
	Ranges []Range
	Set    []string
}

// AttributeKind says which field of an Attribute has its value.
type AttributeKind int

// The kinds of an Attribute.
const (
	Text AttributeKind = iota
	Scalar
	Ranges
	Set
)

// Range is a range of numbers. It includes both ends.
type Range struct{ First, Last uint64 }

// Matches reports whether the attribute is the value of a constraint: the same text or
// number, or a member of its ranges or its set. Like Mesos, it counts thousandths.
func (a Attribute) Matches(value string) bool {
	switch a.Kind {
	case Scalar:
		number, err := strconv.ParseFloat(value, 64)
		return err == nil && milli(number) == milli(a.Number)
	case Ranges:
		number, err := strconv.ParseUint(value, 10, 64)
		return err == nil && slices.ContainsFunc(a.Ranges, func(r Range) bool { return r.First <= number && number <= r.Last })
	case Set:
		return slices.Contains(a.Set, value)
	default:
		return a.Text == value
	}
}
