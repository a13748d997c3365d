package compose

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"tombolo/framework/app"
)

// screen applies the verdicts of keys.txt to the loaded model. The model is merged and
// in long form, without everything that profiles, overrides and !reset removed.
func (r *report) screen(model any) {
	r.screenBelow(model, app.Path{}, keyTable(), "")
}

func (r *report) screenBelow(value any, p app.Path, tree *keyTree, verdict string) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if !isExtension(key, p) {
				r.screenKey(v[key], p.To(key), tree.next(key), verdict)
			} else if key == app.Extension && len(p) > 0 && (len(p) != 2 || p[0] != "services") {
				r.Problem(p.To(key), "it has no meaning here, only at the top of the file and in a service")
			}
		}
	case []any:
		for i, item := range v {
			r.screenBelow(item, r.item(p, i, len(v)), tree.next("[]"), verdict)
		}
	}
}

// screenKey screens the value of one key. verdict is that of the parent key, which holds
// if the key has no line of its own.
func (r *report) screenKey(value any, p app.Path, tree *keyTree, verdict string) {
	remark := "not supported"
	if tree != nil && tree.verdict != "" {
		verdict, remark = tree.verdict, tree.remark
	}
	switch verdict {
	case honour, caution:
		if verdict == caution && !isEmpty(value) {
			r.Warn(p, "%s", remark)
		}
		r.screenBelow(value, p, tree, honour)
	case ignore:
		r.Warn(p, "%s", remark)
	default:
		r.Problem(p, "%s", remark)
	}
}

func isEmpty(value any) bool {
	v := reflect.ValueOf(value)
	return !v.IsValid() || v.IsZero() || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0
}

// maxVisits bounds the walk over a file, because aliases can multiply its nodes.
// compose-go refuses files beyond the same bound.
const maxVisits = 100_000

// keyWalk walks over a file to find keys that the Compose specification does not have.
type keyWalk struct {
	report *report
	name   string // of the file
	left   int    // visits
	found  bool
}

// dropUnknown reports the unknown keys of a file, and removes them from its nodes so
// that compose-go can find the other problems. It reports whether there were any.
func (r *report) dropUnknown(s *source) bool {
	w := &keyWalk{report: r, name: s.name, left: maxVisits}
	for _, doc := range s.docs {
		w.walk(doc, app.Path{}, specification())
	}
	return w.found
}

func (w *keyWalk) walk(n *yaml.Node, p app.Path, tree *keyTree) {
	n = target(n)
	if w.left--; w.left < 0 || n == nil || tree == nil || len(tree.below) == 0 {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		w.mapping(n, p, tree)
	case yaml.SequenceNode:
		for i, item := range n.Content {
			w.walk(item, p.Item(i), tree.next("[]"))
		}
	}
}

func (w *keyWalk) mapping(n *yaml.Node, p app.Path, tree *keyTree) {
	var known []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "<<" {
			for _, m := range mergedBy(value) {
				w.walk(m, p, tree)
			}
		} else if !isExtension(key.Value, p) {
			below := tree.next(key.Value)
			if below == nil {
				w.unknown(key, p.To(key.Value), tree)
				continue
			}
			w.walk(value, p.To(key.Value), below)
		}
		known = append(known, key, value)
	}
	n.Content = known
}

func (w *keyWalk) unknown(key *yaml.Node, p app.Path, tree *keyTree) {
	w.found = true
	w.report.Add(app.Problem{
		Position: app.Position{File: w.name, Line: key.Line, Column: key.Column},
		Path:     p.String(),
		Text:     unknownKey(key.Value, slices.Collect(maps.Keys(tree.below))),
	})
}

// unknownKey is the text of a problem with a key that is none of those known.
func unknownKey(key string, known []string) string {
	if near := app.Nearest(key, known); near != "" {
		return "unknown key, did you mean " + near + "?"
	}
	return "unknown key"
}

// hasUserKeys reports whether the user chooses the names of the keys below p. Such a
// key is not an extension, even if its name begins with "x-".
func hasUserKeys(p app.Path) bool {
	tree := specification().at(p)
	return tree != nil && (tree.below["*"] != nil || len(p) == 3 && p[2] == "storage_opt")
}

func isExtension(key string, p app.Path) bool {
	return strings.HasPrefix(key, "x-") && !hasUserKeys(p)
}
