package compose

import (
	"reflect"
	"strings"

	"tombolo/framework/app"
)

// hasUserKeys reports whether the keys below p are names of the user's: none of
// them is an app.Extension, however it begins.
func hasUserKeys(p app.Path) bool {
	tree := known()
	for _, key := range p {
		if strings.HasPrefix(key, "[") {
			key = "[]"
		}
		if tree = tree.next(key); tree == nil {
			return false
		}
	}
	return tree.below["*"] != nil || len(p) == 3 && p[2] == "storage_opt"
}

func isExtension(key string, p app.Path) bool {
	return strings.HasPrefix(key, "x-") && !hasUserKeys(p)
}

// veil hides names of the user's that begin with x- from compose-go, which takes
// them for extensions; unveil undoes it in what it makes of the model. It knows
// better at the top of the file and below depends_on.
const veil = "\x00"

func veilKeys(value any, p app.Path) {
	switch v := value.(type) {
	case map[string]any:
		hidden := len(p) > 1 && p[len(p)-1] != "depends_on" && hasUserKeys(p)
		for key, below := range v {
			veilKeys(below, p.To(key))
			if hidden && strings.HasPrefix(key, "x-") {
				delete(v, key)
				v[veil+key] = below
			}
		}
	case []any:
		for i, item := range v {
			veilKeys(item, p.Item(i))
		}
	}
}

func unveil(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			unveil(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				unveil(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			unveil(v.Index(i))
		}
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			unveilMap(v)
		}
	}
}

func unveilMap(m reflect.Value) {
	for _, key := range m.MapKeys() {
		value := reflect.New(m.Type().Elem()).Elem() // what a map holds cannot be changed in place
		value.Set(m.MapIndex(key))
		unveil(value)
		if name, hidden := strings.CutPrefix(key.String(), veil); hidden {
			m.SetMapIndex(key, reflect.Value{})
			key = reflect.ValueOf(name).Convert(m.Type().Key())
		}
		m.SetMapIndex(key, value)
	}
}
