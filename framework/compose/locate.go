package compose

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"tombolo/framework/app"
)

// find returns the position of the key at p, or of its nearest parent that is in a file.
// It asks later files first, because they override earlier ones. If a service extends
// another one, find looks there too.
func (ss *sources) find(p app.Path) app.Position {
	var found app.Position
	best := 0
	for _, s := range slices.Backward(ss.files) {
		for _, doc := range s.docs {
			where, depth := s.descend(doc, p)
			if base, d := ss.inBase(s, doc, p, maxExtends); d > depth {
				where, depth = base, d
			}
			if depth > best {
				found, best = where, depth
			}
		}
	}
	if best == 0 && len(ss.files) > 0 {
		return app.Position{File: ss.files[0].name}
	}
	return found
}

// inBase looks for p in the service that the service of p extends. It returns a depth
// of 0 if that does not have the key.
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
	file := first(scalars(lookup(extends, "file")))
	for _, other := range ss.files {
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

// descend follows p as far as the document has its keys. It returns the position and
// the number of the last one.
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

// value returns the node at p, in the last file that has it, or nil.
func (ss *sources) value(p app.Path) *yaml.Node {
	for _, s := range slices.Backward(ss.files) {
		for _, n := range s.docs {
			for _, key := range p {
				n = lookup(n, key)
			}
			if n != nil {
				return n
			}
		}
	}
	return nil
}

// has reports whether a file has a key at p.
func (ss *sources) has(p app.Path) bool { return ss.value(p) != nil }

// list returns the items of the list at p, in the last file that has it.
func (ss *sources) list(p app.Path) []*yaml.Node {
	if n := target(ss.value(p)); n != nil && n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return nil
}

// mention returns the position of the first scalar that matches, or the first file.
func (ss *sources) mention(expression string) app.Position {
	match := regexp.MustCompile(expression)
	for _, s := range ss.files {
		for _, doc := range s.docs {
			if n := findScalar(doc, match); n != nil {
				return app.Position{File: s.name, Line: n.Line, Column: n.Column}
			}
		}
	}
	if len(ss.files) == 0 {
		return app.Position{}
	}
	return app.Position{File: ss.files[0].name}
}
