package compose

import (
	"slices"

	"tombolo/framework/app"
)

// strict reports whether only links open ways: x-tombolo: {isolation: links}.
func (m *mapping) strict(v any) bool {
	p := app.Path{app.Extension}
	isolation, ok := m.entries(v, p, "isolation")["isolation"]
	if ok && isolation != "links" && isolation != "networks" {
		m.Problem(p.To("isolation"), "%v is neither links nor networks", isolation)
	}
	return isolation == "links"
}

// extend maps x-tombolo: {export: true, replace: never} of a service.
func (s *serviceMapping) extend(v any) {
	p := s.path.To(app.Extension)
	entries := s.entries(v, p, "export", "replace")
	if export, ok := entries["export"]; ok {
		s.out.Export = s.export(export, p.To("export"))
	}
	replace, ok := entries["replace"]
	s.out.NeverReplace = replace == "never"
	if ok && !s.out.NeverReplace {
		s.Problem(p.To("replace"), "%v cannot be honoured: only never is supported", replace)
	}
}

func (m *mapping) export(value any, p app.Path) *app.Export {
	switch v := value.(type) {
	case bool:
		if v {
			return &app.Export{}
		}
		return nil
	case []any:
		var to []string
		for i, item := range v {
			if name, ok := item.(string); ok {
				to = append(to, name)
			} else {
				m.Problem(p.Item(i), "%v is not the name of an app", item)
			}
		}
		if len(to) == 0 {
			return nil // an empty list exports to no app
		}
		slices.Sort(to)
		return &app.Export{To: slices.Compact(to)}
	}
	m.Problem(p, "%v is neither true nor a list of apps", value)
	return nil
}

// entries returns the entries of an x-tombolo mapping, and reports all that have no
// known key.
func (m *mapping) entries(v any, p app.Path, known ...string) map[string]any {
	entries, ok := v.(map[string]any)
	if v != nil && !ok {
		m.Problem(p, "must be a mapping")
	}
	for key := range entries {
		if !slices.Contains(known, key) {
			m.Problem(p.To(key), "%s", unknownKey(key, known))
		}
	}
	return entries
}
