package app

import (
	"cmp"
	"encoding/csv"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Flags gathers flags of a Docker command. A zero value adds no flag.
type Flags []Flag

// Text adds a flag, unless its value is empty.
func (f *Flags) Text(name, value string) {
	if value != "" {
		*f = append(*f, Flag{name, value})
	}
}

// Bool adds a flag that is true.
func (f *Flags) Bool(name string, value bool) {
	if value {
		f.Text(name, "true")
	}
}

// Int adds a flag, unless its value is 0.
func (f *Flags) Int(name string, value int64) {
	if value != 0 {
		f.Text(name, strconv.FormatInt(value, 10))
	}
}

// List adds a flag for each value.
func (f *Flags) List(name string, values []string) {
	for _, value := range values {
		*f = append(*f, Flag{name, value})
	}
}

// Pairs adds a flag KEY=VALUE for each pair.
func (f *Flags) Pairs(name string, pairs map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		*f = append(*f, Flag{name, key + "=" + pairs[key]})
	}
}

// CSV adds a flag whose value is one line of CSV, as --mount and --gpus take it.
func (f *Flags) CSV(name string, fields []string) {
	var line strings.Builder
	w := csv.NewWriter(&line)
	_ = w.Write(fields) // a strings.Builder returns no error
	w.Flush()
	f.Text(name, strings.TrimSuffix(line.String(), "\n"))
}

// Sorted returns the flags in canonical order, each once. The order of these flags
// means nothing to Docker.
func (f Flags) Sorted() []Flag {
	slices.SortFunc(f, func(a, b Flag) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(f)
}
