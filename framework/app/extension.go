package app

import (
	"maps"
	"slices"
)

// extension is the key of what Compose has no word for: at the top of the file
// {isolation: links|networks}, in a service {export: true|[app, ...], replace:
// never}.
const extension = "x-tombolo"

// isolation reports whether the app wants links alone to open ways.
func (m *mapping) isolation(v any) bool {
	strict := false
	m.entries(v, at(extension), func(key string, value any, p keyPath) {
		switch {
		case key == "isolation" && value == "links":
			strict = true
		case key == "isolation" && value == "networks":
		case key == "isolation":
			m.report.problem(p, "%v is neither links nor networks", value)
		default:
			m.unknown(p, key, "isolation")
		}
	})
	return strict
}

func (s *serviceMapping) extend(v any) {
	s.entries(v, s.path.to(extension), func(key string, value any, p keyPath) {
		switch {
		case key == "export":
			s.out.Export = s.export(value, p)
		case key == "replace" && value == "never":
			s.out.NeverReplace = true
		case key == "replace":
			s.report.problem(p, "%v is not never, the only word that it takes", value)
		default:
			s.unknown(p, key, "export", "replace")
		}
	})
}

func (s *serviceMapping) export(value any, p keyPath) *Export {
	switch v := value.(type) {
	case bool:
		if v {
			return &Export{}
		}
		return nil
	case []any:
		to := []string{}
		for i, item := range v {
			name, ok := item.(string)
			if !ok {
				s.report.problem(p.item(i), "%v is no app's name", item)
				continue
			}
			to = append(to, name)
		}
		if len(to) == 0 {
			return nil
		}
		slices.Sort(to)
		return &Export{To: slices.Compact(to)}
	}
	s.report.problem(p, "%v is neither true nor a list of apps", value)
	return nil
}

// entries calls each for every key of an x-tombolo mapping.
func (m *mapping) entries(v any, p keyPath, each func(key string, value any, p keyPath)) {
	if v == nil {
		return
	}
	entries, ok := v.(map[string]any)
	if !ok {
		m.report.problem(p, "must be a mapping")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		each(key, entries[key], p.to(key))
	}
}

func (m *mapping) unknown(p keyPath, key string, words ...string) {
	if near := nearest(key, words); near != "" {
		m.report.problem(p, "unknown key, did you mean %s?", near)
		return
	}
	m.report.problem(p, "unknown key")
}
