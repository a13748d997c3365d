package compose

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds each file read, maxFiles their number and maxExtends the length
// of a chain of extends that positions are followed along.
const (
	maxFile    = 4 << 20
	maxFiles   = 256
	maxExtends = 16
)

// stdin is the file that is standard input.
const stdin = "-"

// source is one YAML file of the project, kept for the positions in it.
type source struct {
	path string       // absolute
	name string       // as messages show it
	docs []*yaml.Node // the top-level mapping of each document
}

// sources are all files of a project: those named, then what they include or
// extend. They answer where a key stands.
type sources struct {
	base  string // names in messages are relative to it
	files []*source
}

// show shortens a file's name for messages.
func (ss *sources) show(file string) string {
	if file == stdin {
		return "<stdin>"
	}
	rel, err := filepath.Rel(ss.base, file)
	if err != nil || strings.HasPrefix(rel, "..") {
		return file
	}
	return rel
}

// parse adds a file. Its error is a Problem with a position.
func (ss *sources) parse(file string, content []byte) (*source, error) {
	s := &source{path: file, name: ss.show(file)}
	ss.files = append(ss.files, s)
	decoder := yaml.NewDecoder(strings.NewReader(string(content)))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return nil, lineProblem(s.name, strings.TrimPrefix(spaceInText.ReplaceAllString(err.Error(), " "), "yaml: "))
		}
		if len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
			s.docs = append(s.docs, doc.Content[0])
		}
	}
}

// follow adds the files that s includes or extends, as far as they can be read:
// what cannot is for compose-go to complain about.
func (ss *sources) follow(s *source) {
	for _, file := range s.references() {
		if strings.Contains(file, "$") || len(ss.files) >= maxFiles {
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(s.path), file)
		}
		if ss.holds(file) {
			continue
		}
		content, err := readBounded(file)
		if err != nil {
			continue
		}
		if added, err := ss.parse(file, content); err == nil {
			ss.follow(added)
		}
	}
}

func (ss *sources) holds(file string) bool {
	for _, s := range ss.files {
		if s.path == file {
			return true
		}
	}
	return false
}

func readBounded(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MiB", file, maxFile>>20)
	}
	return os.ReadFile(file)
}

// references lists the files named below include and services.*.extends.
func (s *source) references() []string {
	var files []string
	for _, doc := range s.docs {
		for _, item := range content(lookup(doc, "include")) {
			if p := lookup(item, "path"); p != nil {
				item = p
			}
			files = append(files, scalars(item)...)
		}
		services := content(lookup(doc, "services"))
		for i := 1; i < len(services); i += 2 {
			files = append(files, scalars(lookup(lookup(services[i], "extends"), "file"))...)
		}
	}
	return files
}

// content is what a list or a mapping holds; mappings hold key, value, key, ...
func content(n *yaml.Node) []*yaml.Node {
	if n = target(n); n == nil {
		return nil
	}
	return n.Content
}

// scalars is a scalar's value, or those of a list of scalars.
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

// target is what an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// findScalar is the first scalar below n whose value matches. It does not follow
// aliases: what they stand for is found at its anchor.
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
