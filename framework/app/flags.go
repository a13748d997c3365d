package app

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// flags gathers Docker flags. What is not set adds none.
type flags []Flag

func (f *flags) text(name, value string) {
	if value != "" {
		*f = append(*f, Flag{name, value})
	}
}

func (f *flags) truth(name string, value bool) {
	if value {
		*f = append(*f, Flag{name, "true"})
	}
}

func (f *flags) number(name string, value int64) {
	if value != 0 {
		*f = append(*f, Flag{name, strconv.FormatInt(value, 10)})
	}
}

func (f *flags) each(name string, values []string) {
	for _, value := range values {
		*f = append(*f, Flag{name, value})
	}
}

func (f *flags) pairs(name string, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		*f = append(*f, Flag{name, key + "=" + values[key]})
	}
}

// sorted is the canonical order: for none of the flags does order mean anything.
func (f flags) sorted() []Flag {
	return sorted(f, func(a, b Flag) int {
		return strings.Compare(a.Name+"\x00"+a.Value, b.Name+"\x00"+b.Value)
	})
}

func sortBy[E any](list []E, key func(E) string) {
	slices.SortStableFunc(list, func(a, b E) int { return strings.Compare(key(a), key(b)) })
}
