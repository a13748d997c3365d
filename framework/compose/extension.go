package compose

import (
	"maps"
	"slices"

	"tombolo/framework/app"
)

// isolation reports whether the app wants links alone to open ways.
func (m *mapping) isolation(v any) bool {
	strict := false
	m.entries(v, app.Path{app.Extension}, func(key string, value any, p app.Path) {
		switch {
		case key == "isolation" && value == "links":
			strict = true
		case key == "isolation" && value == "networks":
		case key == "isolation":
			m.report.Problem(p, "%v is neither links nor networks", value)
		default:
			m.unknown(p, key, "isolation")
		}
	})
	return strict
}

func (s *serviceMapping) extend(v any) {
	s.entries(v, s.path.To(app.Extension), func(key string, value any, p app.Path) {
		switch {
		case key == "export":
			s.out.Export = s.export(value, p)
		case key == "replace" && value == "never":
			s.out.NeverReplace = true
		case key == "replace":
			s.report.Problem(p, "%v is not never, the only word that it takes", value)
		default:
			s.unknown(p, key, "export", "replace")
		}
	})
}

func (s *serviceMapping) export(value any, p app.Path) *app.Export {
	switch v := value.(type) {
	case bool:
		if v {
			return &app.Export{}
		}
		return nil
	case []any:
		to := []string{}
		for i, item := range v {
			name, ok := item.(string)
			if !ok {
				s.report.Problem(p.Item(i), "%v is no app's name", item)
				continue
			}
			to = append(to, name)
		}
		if len(to) == 0 {
			return nil
		}
		slices.Sort(to)
		return &app.Export{To: slices.Compact(to)}
	}
	s.report.Problem(p, "%v is neither true nor a list of apps", value)
	return nil
}

// entries calls each for every key of an x-tombolo mapping.
func (m *mapping) entries(v any, p app.Path, each func(key string, value any, p app.Path)) {
	if v == nil {
		return
	}
	entries, ok := v.(map[string]any)
	if !ok {
		m.report.Problem(p, "must be a mapping")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		each(key, entries[key], p.To(key))
	}
}

func (m *mapping) unknown(p app.Path, key string, words ...string) {
	if near := app.Nearest(key, words); near != "" {
		m.report.Problem(p, "unknown key, did you mean %s?", near)
		return
	}
	m.report.Problem(p, "unknown key")
}
