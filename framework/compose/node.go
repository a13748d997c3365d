package compose

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// target returns the node that an alias stands for, or n itself.
func target(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// content returns the nodes in a list or a mapping.
func content(n *yaml.Node) []*yaml.Node {
	if n = target(n); n == nil {
		return nil
	}
	return n.Content
}

// scalars returns the value of a scalar, or of each scalar in a list.
func scalars(n *yaml.Node) []string {
	n = target(n)
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.ScalarNode:
		return []string{n.Value}
	case n.Kind != yaml.SequenceNode:
		return nil
	}
	var values []string
	for _, item := range n.Content {
		if item = target(item); item.Kind == yaml.ScalarNode {
			values = append(values, item.Value)
		}
	}
	return values
}

// first returns the first of all strings, or "".
func first(lists ...[]string) string {
	for _, list := range lists {
		if len(list) > 0 {
			return list[0]
		}
	}
	return ""
}

// findScalar returns the first scalar below n that matches. It does not follow aliases:
// it finds their values at the anchor.
func findScalar(n *yaml.Node, match *regexp.Regexp) *yaml.Node {
	if n.Kind == yaml.ScalarNode && match.MatchString(n.Value) {
		return n
	}
	for _, below := range n.Content {
		if found := findScalar(below, match); found != nil {
			return found
		}
	}
	return nil
}

// lookup returns the value of a key, or nil.
func lookup(n *yaml.Node, key string) *yaml.Node {
	_, value := child(n, key)
	return value
}

// child returns the node of a key or of a list item, and the node of its value.
func child(n *yaml.Node, key string) (at, value *yaml.Node) {
	switch n = target(n); {
	case n != nil && n.Kind == yaml.MappingNode:
		return inMapping(n, key, map[*yaml.Node]bool{})
	case n != nil && n.Kind == yaml.SequenceNode:
		return inSequence(n, key)
	}
	return nil, nil
}

// inMapping looks into merge keys (<<), too. seen keeps it from going in circles:
// anchors may contain each other.
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

// mergedBy returns the mappings that the value of a merge key names.
func mergedBy(n *yaml.Node) []*yaml.Node {
	if n = target(n); n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// inSequence finds a list item by its number ("[2]"), or by a key if the list is the
// short form of a mapping (see hasKey).
func inSequence(n *yaml.Node, key string) (at, value *yaml.Node) {
	if number, ok := strings.CutPrefix(key, "["); ok {
		i, err := strconv.Atoi(strings.TrimSuffix(number, "]"))
		if err != nil || i >= len(n.Content) || i < 0 {
			return nil, nil
		}
		return n.Content[i], n.Content[i]
	}
	for _, item := range n.Content {
		if hasKey(target(item), key) {
			return item, item
		}
	}
	return nil, nil
}

// hasKey reports whether a list item is the entry of a key: "KEY=value" of a variable,
// "service:alias" of a link, "8080:80" or `published: 8080` of a host port.
func hasKey(item *yaml.Node, key string) bool {
	if item.Kind == yaml.MappingNode {
		return first(scalars(lookup(item, "published"))) == key
	}
	word := item.Value
	return word == key || strings.HasPrefix(word, key+"=") || strings.HasPrefix(word, key+":") || strings.Contains(word, ":"+key+":")
}
