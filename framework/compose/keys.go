package compose

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/schema"

	"tombolo/framework/app"
)

//go:embed keys.txt
var keysText string

// The verdicts of keys.txt, which explains them.
const (
	honour  = "honour"
	caution = "caution"
	ignore  = "ignore"
	refuse  = "refuse"
)

// keyTree is a tree of keys. "*" stands for any key and "[]" for any item of a list.
type keyTree struct {
	verdict string // "": keys.txt has no line for this key
	remark  string
	below   map[string]*keyTree
}

var keyTable = sync.OnceValue(func() *keyTree {
	tree := &keyTree{}
	for line := range strings.Lines(keysText) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] == "#" {
			continue
		}
		key := tree.insert(fields[0])
		key.verdict, key.remark = fields[1], strings.Join(fields[2:], " ")
	}
	return tree
})

// specification has every key of the Compose specification.
var specification = sync.OnceValue(func() *keyTree {
	tree := &keyTree{}
	for _, p := range schema.AttributePaths() {
		tree.insert(string(p))
	}
	return tree
})

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

// next returns the tree below a key, or nil if the tree does not have the key.
func (t *keyTree) next(key string) *keyTree {
	switch {
	case t == nil:
		return nil
	case strings.HasPrefix(key, "["):
		key = "[]"
	}
	if below := t.below[key]; below != nil {
		return below
	}
	return t.below["*"]
}

// at returns the tree below a path, or nil.
func (t *keyTree) at(p app.Path) *keyTree {
	for _, key := range p {
		t = t.next(key)
	}
	return t
}

// remark returns what keys.txt says about the key at p, which has a line there.
func remark(p app.Path) string { return keyTable().at(p).remark }
