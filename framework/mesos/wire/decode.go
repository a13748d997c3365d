package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// SyntaxError means that the bytes are no JSON.
type SyntaxError struct {
	Line int
	Near string // the rest of the line
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("syntax error at line %d near: %s", e.Line, e.Near)
}

// schemaErrorf returns an error with a text of Mesos, which begins with a capital letter.
func schemaErrorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Unmarshal parses JSON into m, a pointer to an empty mesos-go message, by the rules of a
// Mesos master: it ignores unknown fields and unknown values of optional enums, but a
// missing required field or an unknown value of a required enum is an error. A
// *SyntaxError means that the bytes are no JSON, every other error that the JSON does not
// fit the message. The texts of all errors are those of Mesos.
func Unmarshal(data []byte, m any) error { return new(decoder).unmarshal(data, m) }

// Unknown is what UnmarshalTolerant gives a required enum whose value it does not know. No enum
// of Mesos has it.
const Unknown = -1

// UnmarshalTolerant is Unmarshal for messages of a master that may be newer than this
// program: a required enum with an unknown value becomes Unknown. It returns the unknown
// values.
func UnmarshalTolerant(data []byte, m any) (unknown []string, err error) {
	d := &decoder{tolerant: true}
	err = d.unmarshal(data, m)
	return d.unknown, err
}

// decoder decodes one message.
type decoder struct {
	tolerant bool     // an unknown value of a required enum is no error
	unknown  []string // such values
}

func (d *decoder) unmarshal(data []byte, m any) error {
	tree, err := parse(data)
	if err != nil {
		return err
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return schemaErrorf("Expecting a JSON object")
	}
	v := reflect.ValueOf(m).Elem()
	if err := d.decodeMessage(object, v); err != nil {
		return err
	}
	if missing := missingFields(object, v.Type(), ""); len(missing) > 0 {
		return schemaErrorf("Missing required fields: %s", strings.Join(missing, ", "))
	}
	return nil
}

func parse(data []byte) (any, error) {
	var tree any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, syntaxError(data, err)
	}
	if rest := bytes.TrimSpace(data[d.InputOffset():]); len(rest) > 0 {
		return nil, syntaxErrorAt(data, int(d.InputOffset()))
	}
	return tree, nil
}

func syntaxError(data []byte, err error) error {
	at := len(data)
	var s *json.SyntaxError
	if errors.As(err, &s) && !errors.Is(err, io.ErrUnexpectedEOF) {
		at = max(0, min(int(s.Offset)-1, len(data)))
	}
	return syntaxErrorAt(data, at)
}

func syntaxErrorAt(data []byte, at int) error {
	near, _, _ := bytes.Cut(data[at:], []byte("\n"))
	return &SyntaxError{Line: 1 + bytes.Count(data[:at], []byte("\n")), Near: string(near[:min(len(near), 200)])}
}

// decodeMessage visits the keys in sorted order, as Mesos does, so that it returns the
// same one of several errors.
func (d *decoder) decodeMessage(object map[string]any, v reflect.Value) error {
	p := planOf(v.Type())
	for _, key := range sortedKeys(object) {
		f := p.byName[key]
		if f == nil {
			continue
		}
		if err := d.decodeField(f, object[key], v.Field(f.index)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) decodeField(f *field, x any, v reflect.Value) error {
	if x == nil {
		return nil // null means unset
	}
	if v.Kind() == reflect.Map {
		return d.decodeMap(f, x, v)
	}
	if !f.repeated {
		return d.decodeValue(f, x, v)
	}
	list, ok := x.([]any)
	if !ok {
		list = []any{x} // Mesos reads a single value as a list of one
	}
	for _, item := range list {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.decodeValue(f, item, element); err != nil {
			return err
		}
		v.Set(reflect.Append(v, element))
	}
	return nil
}

func (d *decoder) decodeMap(f *field, x any, v reflect.Value) error {
	object, ok := x.(map[string]any)
	if !ok {
		return unexpected(f, x)
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, key := range sortedKeys(object) {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.decodeValue(f, object[key], element); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key), element)
	}
	return nil
}

func (d *decoder) decodeValue(f *field, x any, v reflect.Value) error {
	target := v
	if v.Kind() == reflect.Pointer {
		target = reflect.New(v.Type().Elem()).Elem()
	}
	set, err := d.decodeScalar(f, x, target)
	if err == nil && set && v.Kind() == reflect.Pointer {
		v.Set(target.Addr())
	}
	return err
}

// decodeScalar reports false for a value that is ignored.
func (d *decoder) decodeScalar(f *field, x any, v reflect.Value) (set bool, err error) {
	switch x := x.(type) {
	case map[string]any:
		if v.Kind() != reflect.Struct {
			return false, unexpected(f, x)
		}
		return true, d.decodeMessage(x, v)
	case string:
		return d.decodeString(f, x, v)
	case json.Number:
		return true, decodeNumber(f, x, v)
	case bool:
		if v.Kind() != reflect.Bool {
			return false, unexpected(f, x)
		}
		v.SetBool(x)
		return true, nil
	default:
		return false, unexpected(f, x)
	}
}

func (d *decoder) decodeString(f *field, s string, v reflect.Value) (bool, error) {
	switch {
	case f.enum != nil:
		n, ok := f.enum[s]
		if !ok && f.required && d.tolerant {
			d.unknown = append(d.unknown, s)
			n, ok = Unknown, true
		}
		if !ok && f.required {
			return false, schemaErrorf("Failed to find enum for '%s'", s)
		}
		if ok {
			v.SetInt(int64(n))
		}
		return ok, nil
	case isBytes(v.Type()):
		raw, err := decodeBase64(f.name, s)
		v.SetBytes(raw)
		return true, err
	case v.Kind() == reflect.String:
		v.SetString(s)
		return true, nil
	case v.Kind() == reflect.Float64:
		x, ok := map[string]float64{"Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "NaN": math.NaN()}[s]
		if ok {
			v.SetFloat(x)
			return true, nil
		}
	}
	return false, unexpected(f, s)
}

func decodeBase64(name, s string) ([]byte, error) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
	for _, r := range s {
		if !strings.ContainsRune(alphabet, r) {
			return nil, schemaErrorf("Failed to base64 decode bytes field '%s': Invalid character '%c'", name, r)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, schemaErrorf("Failed to base64 decode bytes field '%s': Invalid length", name)
	}
	return raw, nil
}

func decodeNumber(f *field, n json.Number, v reflect.Value) error {
	x, err := n.Float64()
	if f.enum != nil {
		return unexpected(f, n)
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if err != nil {
			return schemaErrorf("Number out of range for field '%s'", f.name)
		}
		v.SetFloat(x)
		return nil
	case reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return decodeInteger(f, n, v)
	default:
		return unexpected(f, n)
	}
}

func decodeInteger(f *field, n json.Number, v reflect.Value) error {
	whole, _, _ := strings.Cut(n.String(), ".") // 5.0 means 5
	target := v.Addr().Interface()
	if err := json.Unmarshal([]byte(whole), target); err != nil {
		return schemaErrorf("Number out of range for field '%s'", f.name)
	}
	return nil
}

func unexpected(f *field, x any) error {
	kind := "object"
	switch x.(type) {
	case string:
		kind = "string"
	case json.Number:
		kind = "number"
	case bool:
		kind = "boolean"
	case []any:
		kind = "array"
	case nil:
		kind = "null"
	}
	return schemaErrorf("Not expecting a JSON %s for field '%s'", kind, f.name)
}

// missingFields names the required fields that are not in the object, in the order of
// protobuf: first the fields of the message, then those of the messages in it.
func missingFields(object map[string]any, t reflect.Type, path string) []string {
	var missing []string
	p := planOf(t)
	for _, f := range p.byNumber {
		if f.required && object[f.name] == nil {
			missing = append(missing, path+f.name)
		}
	}
	for _, f := range p.byNumber {
		ft := t.Field(f.index).Type
		if x := object[f.name]; x != nil {
			missing = append(missing, missingIn(x, ft, path+f.name)...)
		}
	}
	return missing
}

func missingIn(x any, t reflect.Type, path string) []string {
	object, isObject := x.(map[string]any)
	list, isList := x.([]any)
	var missing []string
	switch {
	case t.Kind() == reflect.Pointer:
		return missingIn(x, t.Elem(), path)
	case t.Kind() == reflect.Struct && isObject:
		return missingFields(object, t, path+".")
	case t.Kind() == reflect.Map && isObject:
		for _, key := range sortedKeys(object) {
			missing = append(missing, missingIn(object[key], t.Elem(), path+"."+key)...)
		}
	case t.Kind() == reflect.Slice && isList:
		for i, item := range list {
			missing = append(missing, missingIn(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case t.Kind() == reflect.Slice && isObject:
		return missingIn(object, t.Elem(), path+"[0]")
	}
	return missing
}

func sortedKeys(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
