package compose

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"tombolo/framework/app"
)

// find is where the key at p stands, or the nearest of its parents that stands
// anywhere. Later files override earlier ones, so they are asked first; a service
// that extends another is looked up there too.
func (ss *sources) find(p app.Path) app.Position {
	place := app.Position{}
	best := 0
	for _, s := range ss.ordered() {
		for _, doc := range s.docs {
			where, depth := s.descend(doc, p)
			if base, d := ss.inBase(s, doc, p, maxExtends); d > depth {
				where, depth = base, d
			}
			if depth > best {
				place, best = where, depth
			}
		}
	}
	if best == 0 && len(ss.files) > 0 {
		return app.Position{File: ss.files[0].name}
	}
	return place
}

// ordered lists the sources, last first.
func (ss *sources) ordered() []*source {
	reversed := make([]*source, 0, len(ss.files))
	for i := range ss.files {
		reversed = append(reversed, ss.files[len(ss.files)-1-i])
	}
	return reversed
}

// inBase looks below the service that the one at p extends.
func (ss *sources) inBase(s *source, doc *yaml.Node, p app.Path, left int) (app.Position, int) {
	if left == 0 || len(p) < 3 || p[0] != "services" {
		return app.Position{}, 0
	}
	extends := lookup(lookup(lookup(doc, "services"), p[1]), "extends")
	name := first(scalars(lookup(extends, "service")), scalars(extends))
	if name == "" {
		return app.Position{}, 0
	}
	base := app.Path{"services", name}.To(p[2:]...)
	for _, other := range ss.files {
		file := first(scalars(lookup(extends, "file")))
		if file == "" && other != s || file != "" && !strings.HasSuffix(other.path, strings.TrimLeft(file, "./")) {
			continue
		}
		for _, d := range other.docs {
			where, depth := other.descend(d, base)
			if w, deeper := ss.inBase(other, d, base, left-1); deeper > depth {
				where, depth = w, deeper
			}
			if depth > 2 {
				return where, depth
			}
		}
	}
	return app.Position{}, 0
}

func first(lists ...[]string) string {
	for _, list := range lists {
		if len(list) > 0 {
			return list[0]
		}
	}
	return ""
}

// descend follows p as far as the document goes.
func (s *source) descend(n *yaml.Node, p app.Path) (app.Position, int) {
	where := app.Position{File: s.name}
	for depth, key := range p {
		at, value := child(n, key)
		if at == nil {
			return where, depth
		}
		where.Line, where.Column = at.Line, at.Column
		n = value
	}
	return where, len(p)
}

// lookup is the value of a key of a mapping, or nil.
func lookup(n *yaml.Node, key string) *yaml.Node {
	if n = target(n); n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	_, value := inMapping(n, key, map[*yaml.Node]bool{})
	return value
}

// child is the node where a key stands, and its value.
func child(n *yaml.Node, key string) (at, value *yaml.Node) {
	n = target(n)
	switch {
	case n == nil:
		return nil, nil
	case n.Kind == yaml.MappingNode:
		return inMapping(n, key, map[*yaml.Node]bool{})
	case n.Kind == yaml.SequenceNode:
		return inSequence(n, key)
	}
	return nil, nil
}

// inMapping looks through merge keys (<<) too, at each anchor once: anchors may
// contain each other.
func inMapping(n *yaml.Node, key string, seen map[*yaml.Node]bool) (at, value *yaml.Node) {
	if n.Kind != yaml.MappingNode || seen[n] {
		return nil, nil
	}
	seen[n] = true
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case key:
			return n.Content[i], n.Content[i+1]
		case "<<":
			merged = append(merged, mergedBy(n.Content[i+1])...)
		}
	}
	for _, m := range merged {
		if at, value = inMapping(target(m), key, seen); at != nil {
			return at, value
		}
	}
	return nil, nil
}

// mergedBy lists what the value of a merge key names: a mapping or several.
func mergedBy(n *yaml.Node) []*yaml.Node {
	if n = target(n); n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// inSequence finds an item by its number, or by what it says: in the list forms
// of mappings "KEY=value" is the entry KEY, "service:alias" the link, and a port is
// known by its host port.
func inSequence(n *yaml.Node, key string) (at, value *yaml.Node) {
	if number, ok := strings.CutPrefix(key, "["); ok {
		i, err := strconv.Atoi(strings.TrimSuffix(number, "]"))
		if err != nil || i >= len(n.Content) || i < 0 {
			return nil, nil
		}
		return n.Content[i], n.Content[i]
	}
	for _, item := range n.Content {
		if says(target(item), key) {
			return item, item
		}
	}
	return nil, nil
}

func says(item *yaml.Node, key string) bool {
	if item.Kind == yaml.MappingNode {
		return first(scalars(lookup(item, "published"))) == key
	}
	word := item.Value
	return word == key || strings.HasPrefix(word, key+"=") || strings.HasPrefix(word, key+":") || strings.Contains(word, ":"+key+":")
}

// has reports whether any file says something at exactly p.
func (ss *sources) has(p app.Path) bool {
	return ss.value(p) != nil
}

// list is what the list at p holds, in the last file that has one.
func (ss *sources) list(p app.Path) []*yaml.Node {
	if n := target(ss.value(p)); n != nil && n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return nil
}

// items is the length of that list.
func (ss *sources) items(p app.Path) int {
	return len(ss.list(p))
}

func (ss *sources) value(p app.Path) *yaml.Node {
	for _, s := range ss.ordered() {
		for _, n := range s.docs {
			for _, key := range p {
				if _, n = child(n, key); n == nil {
					break
				}
			}
			if n != nil {
				return n
			}
		}
	}
	return nil
}
