package compose

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/schema"
	"go.yaml.in/yaml/v4"

	"tombolo/framework/app"
)

//go:embed keys.txt
var keysText string

// maxVisits bounds a walk over YAML nodes, whose aliases can multiply them.
// compose-go refuses files beyond the same bound.
const maxVisits = 100_000

// verdict is what keys.txt says of a key.
type verdict struct {
	word   string // "map", "warn", "refuse", or "" where no line stands
	reason string
}

// keyTree is a tree of key paths; "*" stands for any name, "[]" for any item.
type keyTree struct {
	verdict verdict
	below   map[string]*keyTree
}

func (t *keyTree) insert(pattern string) *keyTree {
	for key := range strings.SplitSeq(pattern, ".") {
		if t.below == nil {
			t.below = map[string]*keyTree{}
		}
		if t.below[key] == nil {
			t.below[key] = &keyTree{}
		}
		t = t.below[key]
	}
	return t
}

// next is the tree below key, or nil where the tree knows no such key.
func (t *keyTree) next(key string) *keyTree {
	if t == nil {
		return nil
	}
	if below := t.below[key]; below != nil {
		return below
	}
	return t.below["*"]
}

// verdicts is keys.txt; known is every key that the specification has.
var (
	verdicts = sync.OnceValue(parseKeys)
	known    = sync.OnceValue(func() *keyTree {
		tree := &keyTree{}
		for _, p := range schema.AttributePaths() {
			tree.insert(string(p))
		}
		return tree
	})
)

func parseKeys() *keyTree {
	tree := &keyTree{}
	for line := range strings.Lines(keysText) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		tree.insert(fields[0]).verdict = verdict{word: fields[1], reason: strings.Join(fields[2:], " ")}
	}
	return tree
}

// screen reports every key of the loaded model that cannot be honoured or is
// ignored. The model is merged and in long form: what profiles, overrides and
// !reset removed is not in it.
func (r *report) screen(model any) {
	r.screenBelow(model, app.Path{}, verdicts(), verdict{})
}

func (r *report) screenBelow(value any, p app.Path, tree *keyTree, above verdict) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if !isExtension(key, p) {
				r.screenKey(v[key], p.To(key), tree.next(key), above)
			} else if key == app.Extension && len(p) > 0 && (len(p) != 2 || p[0] != "services") {
				r.Problem(p.To(key), "means nothing here, only at the top of the file and in services")
			}
		}
	case []any:
		for i, item := range v {
			r.screenBelow(item, r.item(p, i, len(v)), tree.next("[]"), above)
		}
	}
}

func (r *report) screenKey(value any, p app.Path, tree *keyTree, above verdict) {
	verdict := above
	if tree != nil && tree.verdict.word != "" {
		verdict = tree.verdict
	}
	switch verdict.word {
	case "map":
		r.screenBelow(value, p, tree, verdict)
	case "warn":
		r.Warn(p, "%s", verdict.reason)
	case "refuse":
		r.Problem(p, "%s", verdict.reason)
	default:
		r.Problem(p, "not supported")
	}
}

// unknown reports the keys of a file that the Compose specification does not
// have, and takes them out of its nodes so that the other problems can be found
// too. It says whether it took any.
func (r *report) unknown(s *source) bool {
	w := &keyWalk{report: r, name: s.name, left: maxVisits}
	for _, doc := range s.docs {
		w.walk(doc, app.Path{}, known())
	}
	return w.found
}

type keyWalk struct {
	report *report
	name   string
	left   int
	found  bool
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
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "<<" {
			for _, m := range mergedBy(value) {
				w.walk(m, p, tree)
			}
		} else if !isExtension(key.Value, p) {
			below := tree.next(key.Value)
			if below == nil {
				w.refuse(key, p.To(key.Value), tree)
				continue
			}
			w.walk(value, p.To(key.Value), below)
		}
		kept = append(kept, key, value)
	}
	n.Content = kept
}

func (w *keyWalk) refuse(key *yaml.Node, p app.Path, tree *keyTree) {
	w.found = true
	text := "unknown key"
	if near := app.Nearest(key.Value, slices.Collect(maps.Keys(tree.below))); near != "" {
		text += ", did you mean " + near + "?"
	}
	w.report.Add(app.Problem{
		Position: app.Position{File: w.name, Line: key.Line, Column: key.Column},
		Path:     p.String(),
		Text:     text,
	})
}
