package compose

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"tombolo/framework/app"
)

// Bounds of what is read for the positions of keys.
const (
	maxFile    = 4 << 20 // bytes of a file
	maxFiles   = 256
	maxExtends = 16 // services in a chain of extends
)

// stdin is the name of the file that is standard input.
const stdin = "-"

// source is one parsed file of the project.
type source struct {
	path string       // absolute
	name string       // as messages show it
	docs []*yaml.Node // the top mapping of each document
}

// sources are all files of a project: first those that the user named, then those that
// are included or extended.
type sources struct {
	base  string // messages show files relative to this folder
	files []*source
}

// show returns a file's name for messages.
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

// parse adds a file. Its error is app.Problems.
func (ss *sources) parse(file string, content []byte) (*source, error) {
	s := &source{path: file, name: ss.show(file)}
	ss.files = append(ss.files, s)
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			text := strings.TrimPrefix(spaceInText.ReplaceAllString(err.Error(), " "), "yaml: ")
			return nil, app.Problems{yamlProblem(s.name, text)}
		}
		if len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
			s.docs = append(s.docs, doc.Content[0])
		}
	}
}

// follow adds the files that s includes or extends. It skips a file that it cannot
// read: compose-go reports that.
func (ss *sources) follow(s *source) {
	for _, file := range s.references() {
		if strings.Contains(file, "$") || len(ss.files) >= maxFiles {
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(s.path), file)
		}
		if slices.ContainsFunc(ss.files, func(other *source) bool { return other.path == file }) {
			continue
		}
		info, err := os.Stat(file)
		if err != nil || info.Size() > maxFile {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if added, err := ss.parse(file, content); err == nil {
			ss.follow(added)
		}
	}
}

// references returns the files that include and services.*.extends name.
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
		for i := 1; i < len(services); i += 2 { // a mapping contains key, value, key, ...
			files = append(files, scalars(lookup(lookup(services[i], "extends"), "file"))...)
		}
	}
	return files
}
