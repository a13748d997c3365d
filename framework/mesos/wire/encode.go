package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Marshal encodes m, a mesos-go message or a pointer to one, as a Mesos master does:
// fields in the order of declaration, enums by name, bytes in base64, doubles with a
// decimal point. Unset and empty fields are left out.
func Marshal(m any) ([]byte, error) {
	v := reflect.Indirect(reflect.ValueOf(m))
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("marshal %T: not a message", m)
	}
	return appendMessage(nil, v), nil
}

func appendMessage(b []byte, v reflect.Value) []byte {
	b = append(b, '{')
	first := true
	for i := range planOf(v.Type()).fields {
		f := &planOf(v.Type()).fields[i]
		fv := v.Field(f.index)
		if !present(f, fv) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendField(fmt.Appendf(b, "%q:", f.name), f, fv)
	}
	return append(b, '}')
}

// present reports whether a field is written. An optional field that is no pointer cannot
// be told from an unset one when it is zero, and is left out.
func present(f *field, v reflect.Value) bool {
	switch {
	case f.required:
		return true
	case v.Kind() == reflect.Map || f.repeated:
		return v.Len() > 0
	case isBytes(v.Type()):
		return !v.IsNil()
	default:
		return !v.IsZero()
	}
}

func appendField(b []byte, f *field, v reflect.Value) []byte {
	if v.Kind() == reflect.Map {
		return appendMap(b, f, v)
	}
	if !f.repeated {
		return appendValue(b, f, v)
	}
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, f, v.Index(i))
	}
	return append(b, ']')
}

func appendMap(b []byte, f *field, v reflect.Value) []byte {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, k.String())
		b = append(b, ':')
		b = appendValue(b, f, v.MapIndex(k))
	}
	return append(b, '}')
}

func appendValue(b []byte, f *field, v reflect.Value) []byte {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() { // a required message that the caller left out
			return append(b, '{', '}')
		}
		v = v.Elem()
	}
	switch {
	case v.Kind() == reflect.Struct:
		return appendMessage(b, v)
	case f.enum != nil:
		return appendString(b, v.Interface().(fmt.Stringer).String())
	case isBytes(v.Type()):
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
		return append(b, '"')
	}
	switch v.Kind() {
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Float32, reflect.Float64:
		return appendFloat(b, v.Float())
	default: // a bool or an integer
		return fmt.Append(b, v.Interface())
	}
}

// appendFloat writes 15.0 for 15. Like protobuf's JSON, it writes strings for infinities
// and NaN.
func appendFloat(b []byte, x float64) []byte {
	switch {
	case math.IsInf(x, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(x, -1):
		return append(b, `"-Infinity"`...)
	case math.IsNaN(x):
		return append(b, `"NaN"`...)
	}
	start, format := len(b), byte('g')
	if abs := math.Abs(x); abs >= 1e-5 && abs < 1e17 {
		format = 'f'
	}
	b = strconv.AppendFloat(b, x, format, -1, 64)
	if !strings.ContainsAny(string(b[start:]), ".e") {
		b = append(b, '.', '0')
	}
	return b
}

func appendString(b []byte, s string) []byte {
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // never: every Go string has a JSON form
		panic(err)
	}
	return append(b, bytes.TrimSpace(quoted.Bytes())...)
}
