package wire

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/gogo/protobuf/proto"
)

// plan is the schema of one message.
type plan struct {
	fields   []field // in the order of declaration, in which Mesos writes them
	byName   map[string]*field
	byNumber []*field // ordered by number, as protobuf looks for missing ones
}

type field struct {
	name     string
	number   int
	index    int // of the field of the Go struct
	required bool
	repeated bool
	enum     map[string]int32 // nil: no enum
}

var plans sync.Map // reflect.Type -> *plan

// planOf returns the schema of a message, from the struct tags that protoc-gen-gogo writes.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{byName: map[string]*field{}}
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("protobuf"); tag != "" {
			p.fields = append(p.fields, parseTag(tag, i))
		}
	}
	for i := range p.fields {
		p.byName[p.fields[i].name] = &p.fields[i]
		p.byNumber = append(p.byNumber, &p.fields[i])
	}
	slices.SortFunc(p.byNumber, func(a, b *field) int { return cmp.Compare(a.number, b.number) })
	plans.Store(t, p)
	return p
}

// parseTag parses a struct tag, for example "varint,1,opt,name=type,enum=mesos.Value_Type".
func parseTag(tag string, index int) field {
	f := field{index: index}
	for i, part := range strings.Split(tag, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case i == 1:
			_, _ = fmt.Sscan(part, &f.number) // never an error: the generator wrote a number
		case i == 2:
			f.required, f.repeated = part == "req", part == "rep"
		case key == "name":
			f.name = value
		case key == "enum":
			f.enum = proto.EnumValueMap(value)
		}
	}
	return f
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}
