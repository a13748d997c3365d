package app

import (
	"cmp"
	"encoding/csv"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Flags gathers Docker flags. What is not set adds none.
type Flags []Flag

func (f *Flags) Text(name, value string) {
	if value != "" {
		*f = append(*f, Flag{name, value})
	}
}

func (f *Flags) Bool(name string, value bool) {
	if value {
		*f = append(*f, Flag{name, "true"})
	}
}

func (f *Flags) Int(name string, value int64) {
	if value != 0 {
		*f = append(*f, Flag{name, strconv.FormatInt(value, 10)})
	}
}

func (f *Flags) Each(name string, values []string) {
	for _, value := range values {
		*f = append(*f, Flag{name, value})
	}
}

func (f *Flags) Pairs(name string, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		*f = append(*f, Flag{name, key + "=" + values[key]})
	}
}

// Sorted is the canonical order: for none of the flags does order mean anything.
func (f Flags) Sorted() []Flag {
	slices.SortFunc(f, func(a, b Flag) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(f)
}

// CSV adds a flag whose value is a line of CSV, as Docker reads --mount and --gpus.
func (f *Flags) CSV(name string, fields []string) {
	var line strings.Builder
	w := csv.NewWriter(&line)
	_ = w.Write(fields) // a strings.Builder takes everything
	w.Flush()
	f.Text(name, strings.TrimSuffix(line.String(), "\n"))
}
