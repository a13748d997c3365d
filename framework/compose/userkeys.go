package compose

import (
	"reflect"
	"strings"

	"tombolo/framework/app"
)

// veil begins the names of hidden keys. compose-go takes every key that begins with
// "x-" for an extension and drops it, even where the user chooses the names: an
// environment variable, a service, a volume. hideUserKeys renames such keys in the model
// before compose-go makes a project of it, and showUserKeys names them back. compose-go
// makes no such mistake at the top of the file and below depends_on.
const veil = "\x00"

func hideUserKeys(value any, p app.Path) {
	switch v := value.(type) {
	case map[string]any:
		hide := len(p) > 1 && p[len(p)-1] != "depends_on" && hasUserKeys(p)
		for key, below := range v {
			hideUserKeys(below, p.To(key))
			if hide && strings.HasPrefix(key, "x-") {
				delete(v, key)
				v[veil+key] = below
			}
		}
	case []any:
		for i, item := range v {
			hideUserKeys(item, p.Item(i))
		}
	}
}

func showUserKeys(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			showUserKeys(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				showUserKeys(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			showUserKeys(v.Index(i))
		}
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			showInMap(v)
		}
	}
}

func showInMap(m reflect.Value) {
	for _, key := range m.MapKeys() {
		value := reflect.New(m.Type().Elem()).Elem() // a value in a map cannot be changed in place
		value.Set(m.MapIndex(key))
		showUserKeys(value)
		if name, hidden := strings.CutPrefix(key.String(), veil); hidden {
			m.SetMapIndex(key, reflect.Value{})
			key = reflect.ValueOf(name).Convert(m.Type().Key())
		}
		m.SetMapIndex(key, value)
	}
}
